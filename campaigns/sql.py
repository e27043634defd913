"""What the statements of this package are run on."""

from __future__ import annotations

from typing import TypeAlias

from asyncpg import Connection as _Connection
from asyncpg import Pool as _Pool
from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "_Connection[Record] | PoolConnectionProxy[Record] | _Pool[Record]"
"""A connection (in a transaction or not), or a pool, whose jsonb values are Python objects."""

OneConnection: TypeAlias = "_Connection[Record] | PoolConnectionProxy[Record]"
"""The same, but not a pool: for what is done in a transaction, the caller's own if there is one."""

Pool: TypeAlias = "_Pool[Record]"
