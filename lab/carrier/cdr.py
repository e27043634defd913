"""The carrier's own records: what reached the public network, in its own words and by its own clock."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab.carrier.behaviour import Behaviour


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierCdr:
    """One call. `number` is E.164 as dialled, `sip_call_id` that of the INVITE."""

    uniqueid: str
    number: str
    caller: str
    started: datetime
    answered: datetime | None
    ended: datetime
    disposition: str
    behaviour: Behaviour
    sip_call_id: str


def read_cdr(path: Path) -> list[CarrierCdr]:
    """All complete lines of the file, oldest first; a line that is still being written is left for the next time."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    return [_parse(row) for row in csv.reader(whole.splitlines()) if len(row) == 9]


def _parse(row: list[str]) -> CarrierCdr:
    started = _time(row[3])
    ended = _time(row[5])
    if started is None or ended is None:
        raise ValueError(f"a carrier record without start or end: {row}")
    return CarrierCdr(
        uniqueid=row[0],
        number=row[1],
        caller=row[2],
        started=started,
        answered=_time(row[4]),
        ended=ended,
        disposition=row[6],
        behaviour=Behaviour(row[7] or "unknown"),
        sip_call_id=row[8],
    )


def _time(text: str) -> datetime | None:
    seconds = float(text or 0)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
