"""How the archive stands: volumes that have fewer good copies than are wanted of them, so that somebody hears of it before the last one is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from recorder.ledger import Conn, LedgerPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Thin:
    """A volume with too few good copies: verified, and in our hands. `coming`: copies that are good or may become so without a decision of anybody;
    `bad`: names of the others with what they are; `only_on_discs`: recordings of it that lie in no store.
    """

    label: str
    wanted: int
    good: int
    coming: int
    bad: str
    only_on_discs: int

    @property
    def said(self) -> str:
        """For a report."""
        why = f" ({self.bad})" if self.bad else ""
        return f"{self.label}: copies_too_few: {self.good} good copies of {self.wanted}{why}: waihu archive recopy {self.label}"


_THIN: Final = """
with thin as (
    select v.id, v.label, v.copies_wanted as wanted, count(*) filter (where c.state = 'verified' and c.lent_to is null) as good,
           count(*) filter (where c.state in ('wanted', 'written', 'verified')) as coming,
           coalesce(string_agg(v.label || '-' || c.number || ' ' || c.state || coalesce(', lent to ' || c.lent_to, ''), '; ' order by c.number)
                    filter (where c.state not in ('wanted', 'written', 'verified') or c.lent_to is not null), '') as bad
    from archive_volumes v join archive_copies c on c.volume_id = v.id where v.state in ('checked', 'sealed') group by v.id
)
select label, wanted, good, coming, bad,
       (select count(*) from archive_items i join recordings r on r.id = i.recording_id where i.volume_id = thin.id and r.state = 'archived') as only_on_discs
from thin where good < wanted order by label
"""


async def thin(conn: Conn | LedgerPool) -> list[Thin]:
    """Volumes that were built and have fewer good copies than wanted, by label."""
    return [Thin(**row) for row in await conn.fetch(_THIN)]
