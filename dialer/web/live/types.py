"""What the live feed says. Each message is one JSON text frame."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from dialer.web.fields import In, Out


class FullState(Out):
    """The first message, and the answer to `{"ask": "full"}`: everything this client may see."""

    type: Literal["full"] = "full"
    n: int = Field(description="Number of this message; each following one is one more.")
    epoch: str = Field(description="The engine's run; a new one means that everything was said anew.")
    state: dict[str, dict[str, Any]] = Field(
        description="kind → key → value; kinds: agent, call, project, pacing, node, counters, abandonment, alarm, caller_number."
    )


class Changed(Out):
    """One thing is different now."""

    type: Literal["change"] = "change"
    n: int
    kind: str
    key: str
    value: Any = Field(description="null: it is gone.")


class Ask(In):
    """All a client may say."""

    ask: Literal["full"]
