"""The kind of leads' numbers, kept beside them: filters ask for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

from campaigns.numbers import kind_of
from campaigns.sql import OneConnection

_KEEP = """
update leads l set kind = k.kind from unnest($1::bigint[], $2::text[], $3::text[]) k (id, number, kind)
where l.id = k.id and l.number = k.number and l.kind is distinct from k.kind
returning l.id, l.project_id
"""


async def keep_kinds(conn: OneConnection, numbers: Mapping[int, str]) -> Mapping[UUID, list[int]]:
    """Keep what kind of line each of these leads (id → number) has; gives those that had another, by project."""
    kinds = await asyncio.to_thread(lambda: [kind_of(number).value for number in numbers.values()])
    changed: defaultdict[UUID, list[int]] = defaultdict(list)
    for row in await conn.fetch(_KEEP, list(numbers), list(numbers.values()), kinds):
        changed[row["project_id"]].append(row["id"])
    return changed
