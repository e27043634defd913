"""Finds answered calls that have no ledger row, without ever reading the history twice.

Attempts are walked once, in the order of their ids (version 7: by time). A call that is still live when the walk passes is
remembered and looked at again. So a call whose hang-up signal was lost, and whose legs never came, is found all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from recorder.paths import PART_SUFFIX

if TYPE_CHECKING:
    from recorder.ledger import Conn

_POSITION_NAME: Final = ".swept"
_FIRST_LOOK_BACK: Final = timedelta(days=2)

_OPEN = """
with seen as (
    select id, lead_id, project_id, agent_id, answered_at, ended_at, state from attempts
    where id > $1 and id < $2 and ($3::text is null or node = $3)
    order by id limit $4
), opened as (
    insert into recordings (attempt_id, lead_id, project_id, agent_id, state, started_at, ended_at, created_at)
    select id, lead_id, project_id, agent_id, 'pending', answered_at, ended_at, $5 from seen
    where answered_at is not null and ended_at is not null
    on conflict (attempt_id) do nothing
    returning attempt_id
)
select id, ended_at is null as live, exists (select from opened o where o.attempt_id = id) as opened from seen order by id
"""

_OPEN_AGAIN = """
with seen as (
    select id, lead_id, project_id, agent_id, answered_at, ended_at from attempts where id = any($1) and ended_at is not null
), opened as (
    insert into recordings (attempt_id, lead_id, project_id, agent_id, state, started_at, ended_at, created_at)
    select id, lead_id, project_id, agent_id, 'pending', answered_at, ended_at, $2 from seen where answered_at is not null
    on conflict (attempt_id) do nothing
    returning attempt_id
)
select id, exists (select from opened o where o.attempt_id = id) as opened from seen
"""


def lowest_id(at: datetime) -> UUID:
    """The lowest version 7 id of a moment."""
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)


class Sweep:
    """Position of the walk. It is kept in the spool, so it belongs to a node; a lost one only costs a second look."""

    def __init__(self, spool: Path, *, node: str | None, now: datetime) -> None:
        self._file = spool / _POSITION_NAME
        self._node = node
        self._live: set[UUID] = set()
        self._position = _read_position(self._file) or lowest_id(now - _FIRST_LOOK_BACK)

    async def walk(self, conn: Conn, *, up_to: datetime, at: datetime, count: int) -> tuple[list[UUID], bool]:
        """Look at the next `count` attempts placed before `up_to`; open rows for answered calls without one.

        Returns the calls whose rows were opened, and whether `up_to` was reached.
        """
        opened = await self._look_again(conn, at)
        rows = await conn.fetch(_OPEN, self._position, lowest_id(up_to), self._node, count, at)
        for row in rows:
            if row["live"]:
                self._live.add(row["id"])
            elif row["opened"]:
                opened.append(row["id"])
            self._position = row["id"]
        return opened, len(rows) < count

    async def _look_again(self, conn: Conn, at: datetime) -> list[UUID]:
        if not self._live:
            return []
        rows = await conn.fetch(_OPEN_AGAIN, list(self._live), at)
        self._live.difference_update(row["id"] for row in rows)
        return [row["id"] for row in rows if row["opened"]]

    async def peek(self, conn: Conn, *, up_to: datetime, at: datetime, count: int) -> list[UUID]:
        """As `walk`, to the very end and without moving: what was placed a moment ago can still commit out of order."""
        opened, position = await self._look_again(conn, at), self._position
        while rows := await conn.fetch(_OPEN, position, lowest_id(up_to), self._node, count, at):
            opened.extend(row["id"] for row in rows if row["opened"])
            position = rows[-1]["id"]
        return opened

    def keep_position(self) -> None:
        """Remember how far everything is settled. Blocking."""
        settled = UUID(int=min(live.int for live in self._live) - 1) if self._live else self._position
        part = self._file.with_suffix(PART_SUFFIX)
        try:
            part.write_text(settled.hex)
            part.replace(self._file)
        except OSError:
            part.unlink(missing_ok=True)  # no room: a restart looks a little further back


def _read_position(file: Path) -> UUID | None:
    try:
        return UUID(file.read_text().strip())
    except (OSError, ValueError):
        return None
