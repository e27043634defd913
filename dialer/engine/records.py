"""What Asterisk wrote down about calls: the truth about those that ended while we did not listen.

Two files of Asterisk (their columns are set in `asterisk-conf/cdr_custom.conf` and `cel_custom.conf`): the call records, a line for
each customer's call (a second one when the customer was bridged again), and the hang-ups with their causes. Read from the end
backward, only as far as needed, and on into the files that were rotated (`calls.csv.1`, `.2` ...); in a thread, they may be large.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import orjson

from dialer.domain.ids import attempt_of_channel, seat_of_channel

_CHUNK = 1 << 18
MAX_BYTES = 64 << 20
_COLUMNS = 16  # of a call record
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


@dataclass(slots=True, kw_only=True)
class Records:
    """What was found. `whole_since`: no call that ended after this moment can be missing; None: nothing can be said, they could not be read."""

    found: dict[UUID, Record] = field(default_factory=dict)
    whole_since: datetime | None = None

    def get(self, attempt_id: UUID) -> Record | None:
        """The record of an attempt."""
        return self.found.get(attempt_id)

    def reach_back_to(self, moment: datetime) -> bool:
        """An attempt that began then, or later, and is not in them has not ended in Asterisk."""
        return self.whole_since is not None and self.whole_since <= moment


def read_records(cdr_file: Path, wanted: Iterable[UUID], *, not_before: datetime) -> Records:
    """The records of `wanted` attempts; calls that ended before `not_before` are not looked at. Blocking: call it in a thread."""
    attempts = set(wanted)
    records = Records()
    if not attempts:
        return records
    met: set[str] = set()
    lines = _Lines(cdr_file)
    for row in _rows(lines):
        if len(row) < _COLUMNS:
            continue
        attempt_id = attempt_of_channel(row[0])
        if attempt_id in attempts:
            _merge(records.found.setdefault(attempt_id, Record(attempt_id=attempt_id)), row)
        # All segments of a call are written when it ends, and the last of them says when: those before it say nothing of the file's age.
        if row[0] not in met and (ended_at := _moment(row[5])) is not None:
            records.whole_since = ended_at
            if ended_at < not_before:
                break
        met.add(row[0])
    else:
        records.whole_since = min(filter(None, (records.whole_since, lines.whole_since)), default=None)
    for row in _rows(_Lines(hangups_beside(cdr_file))):
        if len(row) < 4:
            continue
        moment = _moment(row[0])
        if moment is not None and moment < not_before:
            break
        if (record := records.get(attempt_of_channel(row[1]) or _NOBODY)) is not None:
            record.cause = record.cause or _cause(row[3])
    return records


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


class _Lines:
    """The lines of a file and of those it was rotated into, the newest first. `whole_since` is told when all of them were read.

    Until the folder was last changed (a file was made, renamed or deleted in it) there may have been a file that is gone, and a file
    may have been emptied; what was written since then is in what is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.whole_since: datetime | None = None

    def __iter__(self) -> Iterator[str]:
        left, changed_s = MAX_BYTES, None
        try:
            for number in count():
                try:
                    file = (self._path.with_name(f"{self._path.name}.{number}") if number else self._path).open("rb")
                except FileNotFoundError:
                    if number:
                        break
                    continue  # rotated this moment, or never written
                with file:
                    status = os.fstat(file.fileno())
                    changed_s = max(changed_s or 0.0, 0.0 if status.st_size else status.st_mtime)
                    yield from _backward(file, max(0, status.st_size - left), status.st_size)
                left -= status.st_size
                if left <= 0:
                    return
            if changed_s is not None or not any(
                self._path.parent.iterdir()
            ):  # an empty folder: no call was ever written down
                changed_s = max(changed_s or 0.0, self._path.parent.stat().st_mtime)
                self.whole_since = datetime.fromtimestamp(changed_s, UTC)
        except OSError:
            return


def _rows(lines: Iterable[str]) -> Iterator[list[str]]:
    for line in lines:
        try:
            yield next(csv.reader([line]), [])
        except csv.Error:
            continue


def _backward(file: BinaryIO, lowest: int, position: int) -> Iterator[str]:
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
