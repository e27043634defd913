"""Column mappings that were saved for a client: the next list of theirs needs no questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from campaigns.sql import Connection

MAX_SAVED: Final = 50

_OF_CLIENT = "select mapping from column_mappings where client = $1 order by saved_at desc limit $2"


async def mappings_of(conn: Connection, client: str) -> list[Mapping[str, str]]:
    """The mappings of a client, the latest first."""
    return [row["mapping"] for row in await conn.fetch(_OF_CLIENT, client, MAX_SAVED)]


_SAVE = """
insert into column_mappings (client, mapping) values ($1, $2)
on conflict (client, mapping) do update set saved_at = clock_timestamp()
"""


async def save_mapping(conn: Connection, client: str, mapping: Mapping[str, str]) -> None:
    """Keep a mapping for a client's next lists. A client without a name has none to keep."""
    if client and mapping:
        await conn.execute(_SAVE, client, dict(mapping))
