"""What Asterisk wrote down about calls: the truth about those that ended while we did not listen.

Two files of Asterisk (their columns are set in `asterisk-conf/cdr_custom.conf` and `cel_custom.conf`): the call records, a line for
each customer's call (a second one when the customer was bridged again), and the hang-ups with their causes. Read from the end
backward, only as far as needed; both are read in a thread, they may be large.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson

from dialer.domain.ids import attempt_of_channel, seat_of_channel

_CHUNK = 1 << 18
MAX_BYTES = 64 << 20
_NOBODY = UUID(int=0)


@dataclass(slots=True, kw_only=True)
class Record:
    """What is known of one attempt's end."""

    attempt_id: UUID
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    bridged: bool = False
    safe_harbour: bool = False
    survey_played: bool = False
    machine: bool = False
    cause: int | None = None
    sip_status: int | None = None
    agent_id: UUID | None = None
    """Whose seat the call was bridged with: a bridged call takes over the linked id of the older channel, the seat."""
    device: str | None = None
    """The device it was bridged with. A seat that is younger than its first call has taken that call's linked id, and names nobody."""


def read_records(cdr_file: Path, wanted: Iterable[UUID], *, not_before: datetime) -> dict[UUID, Record]:
    """The records of `wanted` attempts; older lines than `not_before` are not looked at. Blocking: call it in a thread.

    A file that is not there, or lines that cannot be read, give no record.
    """
    attempts = set(wanted)
    found: dict[UUID, Record] = {}
    if not attempts:
        return found
    for row in _rows_backward(cdr_file):
        if len(row) < 13:
            continue
        ended_at = _moment(row[5])
        if ended_at is not None and ended_at < not_before:
            break
        attempt_id = attempt_of_channel(row[0])
        if attempt_id in attempts:
            _merge(found.setdefault(attempt_id, Record(attempt_id=attempt_id)), row)
    for row in _rows_backward(hangups_beside(cdr_file)):
        if len(row) < 4:
            continue
        moment = _moment(row[0])
        if moment is not None and moment < not_before:
            break
        if (record := found.get(attempt_of_channel(row[1]) or _NOBODY)) is not None:
            record.cause = record.cause or _cause(row[3])
    return found


def hangups_beside(cdr_file: Path) -> Path:
    """Where the hang-ups are: `cel-custom/hangups.csv` beside `cdr-custom/`."""
    return cdr_file.parent.parent / "cel-custom" / "hangups.csv"


def _merge(record: Record, row: list[str]) -> None:
    start, answer, end = (_moment(text) for text in row[3:6])
    record.started_at = min(filter(None, (record.started_at, start)), default=None)
    record.answered_at = min(filter(None, (record.answered_at, answer)), default=None)
    record.ended_at = max(filter(None, (record.ended_at, end)), default=None)
    record.bridged = record.bridged or row[10] in ("bridged", "bridged_end") or bool(row[11] and row[14])
    record.survey_played = record.survey_played or row[10] == "survey_played"
    record.machine = record.machine or row[10] == "machine"
    record.safe_harbour = record.safe_harbour or row[10].startswith("safe_harbour")
    if (seat := seat_of_channel(row[1])) is not None:
        record.agent_id = seat.agent_id
    record.device = record.device or _device(row[11]) or _device(row[14])
    record.cause = record.cause or _number(row[7])
    record.sip_status = record.sip_status or _number(row[8])


def _device(channel: str) -> str | None:
    """`PJSIP/wh-949cf5f9218b-00000012` → `wh-949cf5f9218b`."""
    technology, _, rest = channel.partition("/")
    device, _, serial = rest.rpartition("-")
    return device if technology == "PJSIP" and len(serial) == 8 and device else None


def _cause(extra: str) -> int | None:
    """`{"hangupcause":17,...}`."""
    try:
        cause = orjson.loads(extra).get("hangupcause")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return cause if isinstance(cause, int) and cause > 0 else None


def _rows_backward(path: Path) -> Iterator[list[str]]:
    for line in _lines_backward(path):
        try:
            yield next(csv.reader([line]), [])
        except csv.Error:
            continue


def _lines_backward(path: Path) -> Iterator[str]:
    try:
        file = path.open("rb")
    except OSError:
        return
    with file:
        position = file.seek(0, 2)
        lowest = max(0, position - MAX_BYTES)
        rest = b""
        while position > lowest:
            size = min(_CHUNK, position - lowest)
            position -= size
            file.seek(position)
            lines = (file.read(size) + rest).split(b"\n")
            rest = lines[0]
            for line in reversed(lines[1:]):
                if line.strip():
                    yield line.decode("utf-8", "replace")
        if position == 0 and rest.strip():
            yield rest.decode("utf-8", "replace")


def _moment(text: str) -> datetime | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return datetime.fromtimestamp(seconds, UTC) if 1e9 < seconds < 1e11 else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 5 and int(text) > 0 else None
