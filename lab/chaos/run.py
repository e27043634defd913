"""One run: a floor under load, killed piece by piece, looked at after each kill."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from rich.console import Console

from lab.api_client import ApiClient
from lab.chaos import books, invariants
from lab.chaos.comeback import Comeback
from lab.chaos.invariants import Away, Violation
from lab.chaos.looks import Looks
from lab.chaos.plan import Kill, Victim
from lab.chaos.switchboard import Switchboard
from lab.chaos.tally import Tally
from lab.demo import evidence
from lab.demo.compare import CarrierFact
from lab.errors import NotReady
from lab.floor import ADMIN, Floor
from lab.population import population
from lab.robot import Manners
from lab.staff import Staffed, furnish, import_list, seat_robots
from lab.waiting import wait_until

CONSISTENT_S = 12.0  # the engine looks through everything every 10 s
LOAD_S = 6.0  # agents need a moment to come back to their desks before a kill can disturb anything
SURVEY_AFTER_S = 0.4
DRAIN_S = 60.0
SETTLE_S = 170.0  # a call whose legs are lost is stated missing after 120 s
AGENT_WAIT_MS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it is run."""

    seed: int
    agents: int
    people: int
    time_scale: float
    mode: str
    ratio: str


class Chaos:
    """The floor, the kills and the promises."""

    def __init__(self, floor: Floor, options: Options, console: Console) -> None:
        self.floor = floor
        self.options = options
        self.console = console
        self.tally = Tally()
        self.switchboard = Switchboard(floor.node)
        self.looks = Looks(floor, self.switchboard)
        self._absences: list[Away] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._staffed: Staffed | None = None

    async def run(self, kills: list[Kill]) -> Tally:
        """All of them. What is violated is in the tally; the run goes on, because one violation rarely comes alone."""
        await self.floor.start(lambda step: self.console.print(f"  {step}", style="dim"))
        await self.switchboard.start()
        comeback = Comeback(self.floor)
        try:
            staffed = self._staffed = await self._begin()
            comeback.project_id = staffed.project_id
            for kill in kills:
                await self._one(kill, len(kills), comeback, staffed)
            await self._end(staffed)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.switchboard.stop()
            await comeback.close()
        return self.tally

    # --- begin and end ---

    async def _begin(self) -> Staffed:
        options = self.options
        async with ApiClient(self.floor.url) as admin:
            await admin.log_in(ADMIN, self.floor.admin_password)
            project = {
                "mode": options.mode, "ratio": options.ratio, "ring_timeout_s": max(5, round(50 * options.time_scale)), "agent_wait_ms": AGENT_WAIT_MS, "wrap_up_limit_s": 30,
                "abandonment_cap": "1", "daily_cap_per_number": 10,
            }  # fmt: skip
            staffed = await furnish(admin, agents=options.agents, project=project)
            people = population(options.seed, options.people)
            await asyncio.gather(
                self.floor.start_phones([seat.account for seat in staffed.seats]),
                import_list(admin, self.floor, staffed, people, Random(options.seed)),
            )
            manners = Manners(talk_s=5.0, wrap_s=0.7, break_share=0.02, break_s=2.0, hold_share=0.4, hold_s=1.5)
            for robot in seat_robots(self.floor, staffed, manners, seed=options.seed):
                self._tasks.append(asyncio.get_running_loop().create_task(robot.work(), name=robot.login))
            await admin.post(f"/projects/{staffed.project_id}/start")
        await wait_until(self._some_talk, timeout_s=40, what="the first conversations")
        self.console.print(f"  {options.agents} agents at work; killing", style="dim")
        return staffed

    async def _some_talk(self) -> bool:
        channels = await self.switchboard.channels()
        return channels is not None and len(channels.bridged) >= 2

    async def _end(self, staffed: Staffed) -> None:
        """No new calls; everything comes to its end; then all books are compared."""
        await wait_until(self.floor.serves, timeout_s=40, what="Waihu after the last kill")
        async with ApiClient(self.floor.url) as admin:
            await admin.log_in(ADMIN, self.floor.admin_password)
            await admin.post(f"/projects/{staffed.project_id}/pause")
        self.console.print("  letting calls and recordings come to their end", style="dim")
        for robot in staffed.robots:
            robot.leaving = True
        try:
            await wait_until(
                lambda: self.looks.none_of("select count(*) from live_attempts"),
                timeout_s=DRAIN_S,
                what="the end of all calls",
            )
        except NotReady as error:
            self._violated([Violation(promise=0, what="a call does not end", detail=str(error))])
        with contextlib.suppress(NotReady):
            await wait_until(lambda: self.looks.none_of(books.UNRECORDED), timeout_s=SETTLE_S, what="recordings")
        found, self.tally.figures = await books.compared(self.floor, self.looks, self._absences)
        self._violated(found)

    # --- one kill ---

    async def _one(self, kill: Kill, of: int, comeback: Comeback, staffed: Staffed) -> None:
        began = time.monotonic()
        with contextlib.suppress(NotReady):
            await wait_until(self._some_talk, timeout_s=LOAD_S, what="conversations to be disturbed")
        came = await self.looks.moment(kill.moment)
        await asyncio.sleep(kill.delay_s)
        steps = self.switchboard.steps()
        killed_at = _now()
        comeback.kill(kill.victim)
        tally = self.tally
        tally.kills[kill.victim, kill.moment] += 1
        tally.missed[kill.moment] += not came
        tally.steps.update(steps.values())
        violations_before = len(tally.violations)
        talking = frozenset(call for call, step in steps.items() if step == "bridged")
        survey = asyncio.get_running_loop().create_task(self._survey(kill, talking, killed_at, staffed), name="survey")
        await asyncio.sleep(kill.away_s)
        back, late = await comeback.bring_back(kill.victim)
        tally.backs[kill.victim].append(back)
        self._violated(late)
        self._absences.append(Away(victim=kill.victim, since=killed_at, until=_now()))
        await survey
        await self._consistent()
        await self._nothing_twice()
        fresh = len(tally.violations) - violations_before
        states = Counter(robot.notes.state for robot in staffed.robots)
        verdict = f"[red]{fresh} violations[/]" if fresh else "[green]ok[/]"
        missed = "" if came else " (moment did not come)"
        self.console.print(
            f"{kill.number:4}/{of} {kill.victim:<9} {kill.moment:<11} back in {back}, {len(talking):2} conversations, {time.monotonic() - began:4.1f} s  {verdict}{missed}  [dim]{' '.join(f'{name} {count}' for name, count in sorted(states.items()))}[/]",
            soft_wrap=True,
        )

    async def _survey(self, kill: Kill, talking: frozenset[UUID], killed_at: datetime, staffed: Staffed) -> None:
        """Straight after the kill: are the conversations still there?"""
        if kill.victim is Victim.ASTERISK:
            return
        await asyncio.sleep(SURVEY_AFTER_S)
        channels = await self.switchboard.channels()
        if channels is None:
            self._violated(
                [Violation(promise=3, what="Asterisk did not answer after another was killed", detail=kill.victim)]
            )
            return
        gone = talking - channels.calls
        self.tally.survived += len(talking) - len(gone)
        if gone:
            await asyncio.sleep(1.0)  # the carrier writes its records when the call is over
            self._violated(await self._why_gone(gone, killed_at, staffed))

    async def _why_gone(self, gone: frozenset[UUID], killed_at: datetime, staffed: Staffed) -> list[Violation]:
        attempts = await self.looks.when_back(evidence.attempts)
        hung_up = frozenset(attempt for robot in staffed.robots for attempt in robot.notes.hung_up)
        carrier: dict[str, list[CarrierFact]] = defaultdict(list)
        for call in evidence.carrier_facts(self.floor.carrier.cdr()):
            carrier[call.number].append(call)
        wanted = [attempt for attempt in attempts if attempt.id in gone]
        return invariants.cut_off(wanted, carrier, hung_up, time_scale=self.options.time_scale, killed_at=killed_at)

    async def _consistent(self) -> None:
        """Rows, channels, leads and agents fit together again, soon; whatever stays is a leak."""
        staying: set[str] | None = None
        deadline = time.monotonic() + CONSISTENT_S
        while True:
            rows, channels = await self.looks.rows(), await self.switchboard.channels()
            if rows is not None and channels is not None:
                self._violated(invariants.of_rows(rows))
                found = invariants.inconsistencies(rows, channels)
                staying = found if staying is None else staying & found
                if not staying:
                    return
            if time.monotonic() > deadline:
                self._violated(
                    [
                        Violation(promise=0, what="leaked", detail=one)
                        for one in sorted(staying or {"nobody could be asked"})
                    ]
                )
                return
            await asyncio.sleep(0.25)

    async def _nothing_twice(self) -> None:
        """Nothing was dialled twice so far."""
        # The carrier's book first: every call in it had its row committed before, also one that came and went between the two looks.
        carrier = evidence.carrier_facts(self.floor.carrier.cdr())
        attempts = await self.looks.when_back(evidence.attempts)
        known = {violation.detail for violation in self.tally.violations}
        self._violated([one for one in invariants.dialled_twice(attempts, carrier) if one.detail not in known])

    def _violated(self, violations: list[Violation]) -> None:
        self.tally.violations += violations
        for violation in violations:
            self.console.print(
                f"     [red]promise {violation.promise} broken[/]: {violation.what}: {violation.detail}", soft_wrap=True
            )


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  # the lab is a rim
