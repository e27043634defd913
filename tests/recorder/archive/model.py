"""A store, an archive and their people as plain values, moved by random operations. Every decision is the product's; every judgement is made here, anew.

`python -m tests.recorder.archive.model 1000000 1` runs so many operations with a seed and prints what happened.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

from recorder.archive.media import Medium
from recorder.archive.planner import NO_YEAR, Candidate, plan
from recorder.archive.states import COPY_MOVES, CopyEvent, CopyState
from recorder.retention.judge import Copy, Facts, judge, may_release
from recorder.retention.policy import Basis, Policy, read_policy

START = date(2026, 1, 1)
_MOST_RECORDINGS = 400
_BASES = [Basis.CALL, Basis.CONTRACT_END, Basis.DISPUTE_END]


@dataclass(slots=True)
class Disc:
    number: int
    state: CopyState = CopyState.WANTED
    lent: bool = False
    broken: bool = False  # what reading would find; the ledger does not know


@dataclass(slots=True)
class Volume:
    discs: list[Disc]


@dataclass(slots=True)
class Recording:
    day: date
    size: int
    state: str = "stored"
    verified: bool = True
    holds: int = 0
    dates: dict[Basis, date] = field(default_factory=dict)
    policy: Policy | None = None
    volume: Volume | None = None


class Violation(AssertionError):
    """An invariant was broken."""


class World:
    """Everything there is. `step` does one random operation and judges what came of it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.today = START
        self.recordings: dict[int, Recording] = {}
        self.volumes: list[Volume] = []
        self.count = 0
        self.done: Counter[str] = Counter()
        self._operations: list[tuple[int, Callable[[], str]]] = [
            (12, self.record), (6, self.hold), (6, self.lift), (4, self.state_a_date), (3, self.change_policy), (6, self.pass_time),
            (3, self.plan_volumes), (20, self.write), (25, self.read), (4, self.damage), (4, self.lend), (5, self.take_back), (2, self.lose),
            (1, self.destroy), (20, self.release), (14, self.expire), (5, self.restore), (2, self.doubt), (1, self.forget),
        ]  # fmt: skip
        self._choices = [operation for weight, operation in self._operations for _ in range(weight)]

    def step(self) -> None:
        """One operation."""
        self.done[self.chance.choice(self._choices)()] += 1

    # -------------------------------------------------------------- what people and machines do

    def record(self) -> str:
        if len(self.recordings) >= _MOST_RECORDINGS:
            return "record: full"
        self.count += 1
        self.recordings[self.count] = Recording(
            day=self.today,
            size=self.chance.randint(1, 60_000),
            policy=self._a_policy(),
            verified=self.chance.random() > 0.05,
        )
        return "record"

    def hold(self) -> str:
        return self._some("hold", lambda one: setattr(one, "holds", one.holds + 1))

    def lift(self) -> str:
        return self._some("lift", lambda one: setattr(one, "holds", max(0, one.holds - 1)))

    def state_a_date(self) -> str:
        day = self.today + timedelta(days=self.chance.randint(-400, 400))
        return self._some("date", lambda one: one.dates.update({self.chance.choice(_BASES[1:]): day}))

    def change_policy(self) -> str:
        return self._some("policy", lambda one: setattr(one, "policy", self._a_policy()))

    def pass_time(self) -> str:
        self.today += timedelta(days=self.chance.randint(0, 9))
        return "time"

    def plan_volumes(self) -> str:
        candidates = [
            Candidate(
                recording_id=UUID(int=number),
                project_id=UUID(int=1),
                expiry_year=NO_YEAR,
                day=one.day,
                bytes=one.size,
                row_bytes=6 * 1024,
            )
            for number, one in self.recordings.items()
            if one.state == "stored" and one.verified and one.volume is None
        ]
        batches = plan(candidates, Medium.CD, today=self.today, wait=timedelta(days=10), room=500_000)
        for batch in batches:
            chosen = [self.recordings[one.int] for one in batch.recordings]
            wanted = max(one.policy.copies if one.policy else 2 for one in chosen)
            volume = Volume(discs=[Disc(number=number) for number in range(1, wanted + 1)])
            self.volumes.append(volume)
            for one in chosen:
                one.volume = volume
        return "plan" if batches else "plan: nothing"

    def write(self) -> str:
        return self._on_disc("write", CopyEvent.WRITTEN, CopyState.WANTED)

    def read(self) -> str:
        disc = self._a_disc()
        if disc is None or disc.lent or disc.state in {CopyState.WANTED, CopyState.LOST, CopyState.DESTROYED}:
            return "read: nothing"
        event = CopyEvent.FOUND_DAMAGED if disc.broken else CopyEvent.VERIFIED
        if (disc.state, event) not in COPY_MOVES:
            return "read: refused"
        disc.state = COPY_MOVES[disc.state, event]
        if disc.broken and disc.state is CopyState.VERIFIED:
            raise Violation("a broken disc was verified")
        return f"read: {disc.state}"

    def damage(self) -> str:
        if (disc := self._a_disc()) is not None and disc.state is not CopyState.WANTED:
            disc.broken = True
            return "damage"
        return "damage: nothing"

    def lend(self) -> str:
        disc = self._a_disc()
        if disc is None or disc.lent or disc.state not in {CopyState.WRITTEN, CopyState.VERIFIED}:
            return "lend: refused"
        disc.lent = True
        return "lend"

    def take_back(self) -> str:
        disc = self._a_disc()
        if disc is None or not disc.lent:
            return "return: nothing"
        disc.lent = False
        if disc.state is CopyState.VERIFIED:
            disc.state = CopyState.WRITTEN
        disc.broken = disc.broken or self.chance.random() < 0.2
        return "return"

    def lose(self) -> str:
        return self._on_disc("lose", CopyEvent.LOST)

    def destroy(self) -> str:
        return self._on_disc("destroy", CopyEvent.DESTROYED)

    def restore(self) -> str:
        one = self._a_recording()
        if one is None or one.state != "archived" or one.volume is None:
            return "restore: nothing"
        if not any(not disc.broken and self._in_hand(disc) for disc in one.volume.discs):
            return "restore: no good disc"
        one.state = "stored"
        return "restore"

    def doubt(self) -> str:
        return self._some("doubt", lambda one: setattr(one, "verified", False))

    def forget(self) -> str:
        """Rows that are over leave the model, so that it goes on."""
        for number in [number for number, one in self.recordings.items() if one.state == "deleted"]:
            del self.recordings[number]
        held = {id(one.volume) for one in self.recordings.values()}
        self.volumes = [volume for volume in self.volumes if id(volume) in held]
        return "forget"

    # -------------------------------------------------------------- what the product decides, and whether that was right

    def release(self) -> str:
        one = self._a_recording()
        if one is None or one.state != "stored" or one.volume is None or not self._sealed(one.volume):
            return "release: nothing"
        copies = [
            Copy(number=disc.number, verified=disc.state is CopyState.VERIFIED, lent=disc.lent)
            for disc in one.volume.discs
        ]
        if may_release(one.policy, ("case",) * one.holds, copies):
            return "release: refused"
        good = sum(disc.state is CopyState.VERIFIED and not disc.lent for disc in one.volume.discs)
        if one.holds:
            raise Violation("released under hold")
        if good < 2 or good < (one.policy.copies if one.policy else 2):
            raise Violation(f"released with {good} verified copies in our hands")
        one.state = "archived"
        return "release"

    def expire(self) -> str:
        one = self._a_recording()
        if one is None or one.state == "deleted":
            return "expire: nothing"
        facts = Facts(dates={**one.dates, Basis.CALL: one.day}, holds=("case",) * one.holds)
        if not judge(one.policy, facts, self.today).expired:
            return "expire: refused"
        if one.holds:
            raise Violation("deleted under hold")
        if one.policy is None:
            raise Violation("deleted without a policy")
        for minimum in one.policy.minima:
            start = one.day if minimum.basis is Basis.CALL else one.dates.get(minimum.basis)
            if start is None and minimum.basis is not Basis.DISPUTE_END:
                raise Violation(f"deleted although {minimum.basis} is not known")
            if start is not None and self.today < start + timedelta(days=minimum.days):
                raise Violation(f"deleted inside a minimum of {minimum}")
        one.state = "deleted"
        return "expire"

    # -------------------------------------------------------------- helpers

    def _a_policy(self) -> Policy | None:
        if self.chance.random() < 0.1:
            return None
        minima = [
            {"from": basis.value, "days": self.chance.randint(1, 120)}
            for basis in self.chance.sample(_BASES, self.chance.randint(1, 2))
        ]
        body: dict[str, object] = {"minima": minima, "copies": self.chance.choice([2, 2, 3])}
        if self.chance.random() < 0.3:
            body |= {"maximum": {"from": "call", "days": self.chance.randint(1, 200)}, "delete": "at_maximum"}
        return read_policy("test", 1, body)

    def _a_recording(self) -> Recording | None:
        return self.recordings[self.chance.choice(list(self.recordings))] if self.recordings else None

    def _some(self, what: str, change: Callable[[Recording], object]) -> str:
        if (one := self._a_recording()) is None:
            return f"{what}: nothing"
        change(one)
        return what

    def _a_disc(self) -> Disc | None:
        return self.chance.choice(self.chance.choice(self.volumes).discs) if self.volumes else None

    def _on_disc(self, what: str, event: CopyEvent, only: CopyState | None = None) -> str:
        disc = self._a_disc()
        if disc is None or (only is not None and disc.state is not only) or (disc.state, event) not in COPY_MOVES:
            return f"{what}: refused"
        disc.state = COPY_MOVES[disc.state, event]
        return what

    @staticmethod
    def _in_hand(disc: Disc) -> bool:
        return not disc.lent and disc.state in {CopyState.WRITTEN, CopyState.VERIFIED, CopyState.DAMAGED}

    @staticmethod
    def _sealed(volume: Volume) -> bool:
        return sum(disc.state is not CopyState.WANTED for disc in volume.discs) == len(volume.discs)


def run(operations: int, seed: int) -> Counter[str]:
    """So many operations. Raises Violation."""
    world = World(seed)
    for _ in range(operations):
        world.step()
    return world.done


if __name__ == "__main__":
    for what, times in sorted(run(int(sys.argv[1]), int(sys.argv[2])).items()):
        print(f"{times:9,} {what}")  # noqa: T201  # its product
