"""Which zones may be called at a moment: what the claim asks of the windows of a project's rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

UNTOLD: Final = timedelta(hours=1)
"""After how long a zone is looked at again when nothing says when it opens."""


@dataclass(slots=True)
class Openings:
    """`opens(zone)`: None when calls may be placed there now, else when it may be so again; '' stands for a zone that is not known.

    `known` fills with the zones that a list turns out to have, so that the next claim asks about them at once.
    """

    opens: Callable[[str], datetime | None]
    known: dict[str, datetime | None] = field(default_factory=dict)

    def ask(self, zone: str) -> datetime | None:
        """The answer, asked once."""
        if zone not in self.known:
            self.known[zone] = self.opens(zone)
        return self.known[zone]

    def open_zones(self) -> list[str]:
        """Those that are known and open."""
        return [zone for zone, opens in self.known.items() if opens is None]
