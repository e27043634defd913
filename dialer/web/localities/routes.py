"""Where numbers are at home: which prefix tables there are, which is in use, and what they say. Tables are loaded by `waihu locality load`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from campaigns.locality import locating, tables
from campaigns.numbers import normalise
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.localities.types import Locality, LocalityTable, NumberQuery
from dialer.web.roles import IMPORTERS, LEAD_READERS

TableId = Annotated[int, Field(ge=1, le=2**31 - 1, description="A table's id.")]


@operation("GET", "/locality-tables", roles=IMPORTERS, summary="List the prefix tables")
async def list_tables(call: Call) -> list[LocalityTable]:
    """The latest first."""
    async with call.connection() as conn:
        return [LocalityTable.model_validate(one) for one in await tables.list_tables(conn)]


@operation("POST", "/locality-tables/{table_id}/use", roles=IMPORTERS, summary="Take a prefix table into use")
async def use_table(call: Call, table_id: TableId) -> None:
    """For imports from now on; leads that are there keep their place until `waihu locality relocate`."""
    async with call.transaction() as conn:
        await tables.use_table(conn, table_id)
        await call.audit(conn, "locality_table_used", "locality_table", table_id)


@operation("GET", "/locality", roles=LEAD_READERS, summary="Where a number is at home")
async def get_locality(call: Call, query: NumberQuery) -> Locality:
    """By the prefix table in use, else by what the numbering plan was asked before."""
    async with call.connection() as conn:
        found = await locating.locate(conn, normalise(query.number, call.deps.settings.region).e164)
    return Locality.model_validate(found)
