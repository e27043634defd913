"""Channels and calls a second that several projects want at the same moment: who may place how many. Nothing is promised twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from campaigns.projects import Project
from campaigns.trunks import Trunk
from dialer.domain.pacing import Limit
from dialer.domain.pacing.sharing import Party, Shares, Turns
from dialer.engine.budgets import Budgets

_NODE = "node"


@dataclass(slots=True)
class Wish:
    """A project that would place `count` calls, and what kept it from more."""

    project: Project
    trunk: Trunk
    count: int
    limit: Limit

    def cut(self, count: int, limit: Limit) -> None:
        """No more than so many, because of this."""
        if count < self.count:
            self.count, self.limit = count, limit


class Allotting:
    """Divides what is short by the projects' weights and priorities."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._channels: dict[UUID | str, Shares] = {}
        self._turns: dict[UUID | str, Turns] = {}

    def divide(self, wishes: Sequence[Wish], in_use: Mapping[UUID, int], at_s: float) -> None:
        """Cut the wishes to what trunks and the node can take together. `in_use`: calls of each project that are under way."""
        channels, rate = self._budgets.node_left(at_s)
        self._by_share(_NODE, wishes, channels, in_use, at_s, Limit.NODE)
        by_trunk: dict[UUID, list[Wish]] = {}
        for wish in wishes:
            by_trunk.setdefault(wish.trunk.id, []).append(wish)
        for trunk_id, those in by_trunk.items():
            trunk = those[0].trunk
            self._by_share(trunk_id, those, self._budgets.channels_left(trunk), in_use, at_s, Limit.TRUNK_CHANNELS)
            if (tries := self._budgets.health.tries(trunk_id, at_s)) is not None:
                self._by_turns(trunk_id, those, tries, Limit.TRUNK_FAILING)
            self._by_turns(trunk_id, those, self._budgets.calls_now(trunk, at_s), Limit.CPS)
        self._by_turns(_NODE, wishes, rate, Limit.NODE)
        self._by_turns("load", wishes, self._budgets.load_left(at_s), Limit.NODE_LOAD)

    def keep_only(self, projects: Iterable[UUID]) -> None:
        """Projects that are dialled; what is remembered of the others goes."""
        kept = set(projects)
        for turns in self._turns.values():
            turns.keep_only(kept)

    def _by_share(
        self,
        key: UUID | str,
        wishes: Sequence[Wish],
        left: int,
        in_use: Mapping[UUID, int],
        at_s: float,
        limit: Limit,
    ) -> None:
        if sum(wish.count for wish in wishes) <= left:
            return
        parties = {
            wish.project.id: Party(
                weight=wish.project.share_weight,
                priority=wish.project.share_priority,
                holds=in_use.get(wish.project.id, 0),
                wants=wish.count,
            )
            for wish in wishes
        }
        given = self._channels.setdefault(key, Shares()).divide(at_s, {frozenset(parties): left}, parties)
        _cut(wishes, given.__getitem__, limit)

    def _by_turns(self, key: UUID | str, wishes: Sequence[Wish], calls: int, limit: Limit) -> None:
        weights = {wish.project.id: wish.project.share_weight for wish in wishes}
        wants = {wish.project.id: wish.count for wish in wishes}
        taken = self._turns.setdefault(key, Turns()).take(calls, wants, weights)
        _cut(wishes, taken.__getitem__, limit)


def _cut(wishes: Iterable[Wish], to: Callable[[UUID], int], limit: Limit) -> None:
    for wish in wishes:
        wish.cut(to(wish.project.id), limit)
