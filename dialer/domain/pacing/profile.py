"""How hours, lists and trunks answer, each against the whole project: what a morning, a bought list or a new carrier may expect before it has shown anything.

Calls are counted by the hour of the day, the list and the trunk they were dialled in. A group that has few calls, or differs no more from the
others than chance does, is drawn to the mean of its project: a beta-binomial model whose pseudo-counts are found from the groups
themselves by moments (empirical Bayes; Kleinman, 1973). Effects of different kinds are multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Context = tuple[tuple[str, str], ...]
"""What calls are dialled in at a moment: ((kind, which), ...), such as (("hour", "14"), ("trunk", "9c..."))."""

Groups = Mapping[str, Sequence[float]]  # answered and placed calls of each

_WORTH = 0.5  # calls of an hour have the luck of their day in common: so much of a call counts as one of its own
_HALF_LIFE = 3_000.0  # calls: the same as what the life table of ringing forgets by
_KEEP = 0.5 ** (1 / _HALF_LIFE)
_GROUPS = 32  # of a kind; the one that was dialled longest ago is forgotten for a new one
_DAY_KEEP = 0.85  # of what was counted, from one day to the next
_LEAST, _MOST = 0.2, 5.0


class Profile:
    """Counts answered and placed calls by group."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, list[float]]] = {}  # kind → group → [answered, placed]
        self._lately = [0.0, 0.0]  # answered and placed, as far as the life table remembers them
        self._said: Context = ()
        self._now: dict[str, str] = {}

    def ended(self, *, answered: bool) -> None:
        """A call was answered, or ended without an answer."""
        for group in self._groups:
            group[0] += answered
            group[1] += 1
        self._lately = [self._lately[0] * _KEEP + answered, self._lately[1] * _KEEP + 1]

    def move(self, context: Context) -> float:
        """From here on calls are dialled in these groups. Gives how many times better than until now they are expected to answer.

        A group that was never dialled says nothing: it is expected to go on as before. A kind that is left out stays what it was.
        """
        if context == self._said:
            return 1.0
        before = dict(self._now)
        self._said = context
        self._now |= dict(context)
        times, known = 1.0, 0.0
        for kind, which in context:
            groups = self._counts.setdefault(kind, {})
            groups[which] = groups.pop(which, [0.0, 0.0])  # the newest is the last
            if len(groups) > _GROUPS:
                del groups[next(iter(groups))]
            then = before.get(kind)
            if then != which:
                here = shrunk(groups, which)
                there = _mean(groups) if then is None else shrunk(groups, then).share
                if here.share and there:
                    times *= (here.share / there) ** here.weight
                    known = max(known, here.weight)
        lately = self._lately[0] / self._lately[1] if self._lately[1] else 0.0
        if not before and lately and known:
            # What was learned is as the calls before were, not as all are.
            times *= (_mean(self._counts[context[0][0]]) / lately) ** known
        return min(_MOST, max(_LEAST, times))

    @property
    def _groups(self) -> list[list[float]]:
        return [self._counts[kind][which] for kind, which in self._now.items()]

    def to_state(self) -> dict[str, Any]:
        """As plain data."""
        rounded = {
            kind: {which: [round(n, 3) for n in group] for which, group in groups.items()}
            for kind, groups in self._counts.items()
        }
        return {"counts": rounded, "lately": [round(n, 3) for n in self._lately], "now": dict(self._now)}

    def restore(self, state: Mapping[str, Any], *, same_run: bool) -> None:
        """Take over what was counted; after another day it weighs a little less, and where it went on is open."""
        keep = 1.0 if same_run else _DAY_KEEP
        self._counts = {
            str(kind): {str(which): [float(n) * keep for n in group] for which, group in groups.items()}
            for kind, groups in state["counts"].items()
        }
        self._lately = [float(n) for n in state["lately"]]
        self._now = {str(kind): str(which) for kind, which in state["now"].items()} if same_run else {}


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The share of a group's calls that is expected to be answered, and how much of that the group says itself."""

    share: float
    weight: float


def shrunk(groups: Groups, which: str) -> Shrunk:
    """The share of one group, drawn to the mean of all by as many pseudo-counts as their differences leave room for.

    With G groups of n calls and the shares p, around the mean m: the variance between them is estimated by moments, and a beta distribution
    of this mean and variance is worth m (1 - m) / variance - 1 calls. No more differences than by chance: all groups have the mean.
    """
    mean = _mean(groups)
    counts = [(good / placed, _WORTH * placed) for good, placed in groups.values() if placed]
    placed = sum(weight for _, weight in counts)
    chance = mean * (1 - mean)
    squares = sum(weight * (share - mean) ** 2 for share, weight in counts)
    room = placed - sum(weight * weight for _, weight in counts) / placed if placed else 0.0
    between = (squares - (len(counts) - 1) * chance) / room if room > 1e-9 else 0.0
    good, all_ = groups.get(which, (0.0, 0.0))
    if between <= 0 or not all_:
        return Shrunk(mean, 0.0)
    pseudo = max(0.0, chance / between - 1)
    weight = _WORTH * all_ / (_WORTH * all_ + pseudo)
    return Shrunk(weight * good / all_ + (1 - weight) * mean, weight)


def _mean(groups: Groups) -> float:
    good, placed = (sum(column) for column in zip(*groups.values(), strict=True)) if groups else (0.0, 0.0)
    return good / placed if placed else 0.0
