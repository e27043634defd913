"""One run of the demo: the floor is furnished, the project started, robots work; watched until Ctrl-C or the end of the list."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Self

from rich.console import Console
from rich.live import Live

from dialer.domain.pacing import Mode
from dialer.simulation.what_if import WhatIf
from lab.api_client import RETRYABLE, ApiClient, ApiRefused
from lab.carrier.behaviour import Behaviour
from lab.demo import compare, evidence, pace, report
from lab.demo.burning import Burning
from lab.demo.house import House
from lab.demo.script import gone_through, use_script
from lab.demo.view import Picture, draw
from lab.floor import ADMIN, Floor
from lab.population import CITY, population
from lab.robot import Manners
from lab.staff import Staffed, furnish, import_list, seat_robots

# More of the rare kinds and fewer who let it ring than in the lab's city, so that a short run shows everything.
MIXED = {
    **CITY,
    Behaviour.NO_ANSWER: 0.1,
    Behaviour.LATE_ANSWER: 0.03,
    Behaviour.ONE_WAY_AUDIO: 0.03,
    Behaviour.CONGESTION: 0.03,
}
_ROWS_EVERY_S = 1.0
_SETTLE_S = 90.0
_LIST_DEADLINE_S = 900.0
_LEAD_DEADLINE_S = 1.0  # more for each lead
_AGENT_WAIT_S = 2.0
_PAUSE_SHARE = 0.1

_REMAINING = """
select count(*) from leads where state = 'in_flight' or (state in ('new', 'retry') and next_at < now() + interval '10 minutes')
"""
_LIVE = "select count(*) from live_attempts"
_RECORDINGS = "select state, count(*) as count from recordings group by state"
_LEADS = "select state, count(*) as count from leads group by state"
_UNRECORDED = """
select count(*) from attempts a left join recordings r on r.attempt_id = a.id
where a.answered_at is not null and (r.state is null or r.state = 'pending')
"""
_UNWRAPPED = "select count(*) from agent_live where state in ('wrap_up', 'talking', 'reserved')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the demo is run."""

    once: bool
    minutes: float | None
    mode: str
    ratio: str
    agents: int
    people: int
    seed: int
    time_scale: float
    talk_s: float
    wrap_s: float
    json_path: Path

    @property
    def concludes(self) -> bool:
        """It comes to an end by itself, and the books are compared."""
        return self.once or self.minutes is not None

    @property
    def abandonment_cap(self) -> Decimal:
        """A fixed ratio goes over any lawful cap on so small a floor: the demo of it shows what it does."""
        return Decimal("0.10" if self.mode == "ratio" else "0.03")

    @property
    def ring_timeout_s(self) -> int:
        """Longer than the latest answer of the lab (40 s of its time), shorter than its network's patience (60 s)."""
        return max(5, round(50 * self.time_scale))


class Demo:
    """Everything that runs in one demo."""

    def __init__(self, floor: Floor, options: Options, console: Console) -> None:
        self.floor = floor
        self.options = options
        self.console = console
        self.picture = Picture()
        self.house = House()
        self.first_call_s: float | None = None
        self._began = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, stop: asyncio.Event) -> int:
        """Exit code: 0, or 1 with contradictions."""
        await self.floor.start(self._step)
        async with ApiClient(self.floor.url) as admin:
            await admin.log_in(ADMIN, self.floor.admin_password)
            self._step("people, telephones and the list")
            staffed = await self._furnish(admin)
            self._step("robots take their seats")
            robots = seat_robots(
                self.floor,
                staffed,
                Manners(talk_s=self.options.talk_s, wrap_s=self.options.wrap_s, pause_share=_PAUSE_SHARE),
                seed=self.options.seed,
            )
            for robot in robots:
                self._spawn(robot.work(), robot.login)
            await admin.post(f"/projects/{staffed.project_id}/start")
            dialling_since = time.monotonic()
            self._spawn(self._follow(admin), "live feed")
            self._spawn(self._count_rows(), "rows")
            try:
                await self._watch(admin, staffed, stop)
                if self.options.concludes and not stop.is_set():
                    return await self._conclude(admin, staffed, time.monotonic() - dialling_since)
            finally:
                await self._end_tasks()
        return 0

    async def _furnish(self, admin: ApiClient) -> Staffed:
        options = self.options
        project = {
            "mode": options.mode,
            "ratio": options.ratio,
            "ring_timeout_s": options.ring_timeout_s,
            "wrap_up_limit_s": 60,
            "abandonment_cap": str(options.abandonment_cap),
            "agent_wait_ms": round(_AGENT_WAIT_S * 1000),
        }
        staffed = await furnish(admin, agents=options.agents, project=project)
        people = population(options.seed, options.people, MIXED)
        await use_script(admin, staffed.project_id)
        await self.house.know_places(self.floor.config_path, self.floor.run_dir)
        await self.house.forbid(admin, staffed.project_id, people, Random(f"{options.seed}/house"))
        await asyncio.gather(
            self.floor.start_phones([seat.account for seat in staffed.seats]),
            import_list(admin, self.floor, staffed, people, Random(f"{options.seed}/names")),
        )
        return staffed

    async def _watch(self, admin: ApiClient, staffed: Staffed, stop: asyncio.Event) -> None:
        """Show the floor until it is over."""
        minutes = self.options.minutes
        limit_s = _LIST_DEADLINE_S + (self.options.people * _LEAD_DEADLINE_S if minutes is None else 60 * minutes)
        deadline = time.monotonic() + limit_s
        enough_s = None if minutes is None else time.monotonic() + 60 * minutes
        note = "Ctrl-C ends it"
        if self.options.concludes:
            note = "dials its list to the end" if minutes is None else f"dials for {minutes:g} min"
        began = _now()
        with (
            Live(console=self.console, refresh_per_second=4, transient=True, auto_refresh=False)
            if self.console.is_terminal
            else _Quiet(self.console, self.picture) as live
        ):
            while not stop.is_set():
                live.update(
                    draw(self.picture, staffed.robots, url=self.floor.url, began=began, now=_now(), note=note),
                    refresh=True,
                )
                self.floor.waihu.raise_if_ended()
                if enough_s is not None and time.monotonic() >= enough_s:
                    await admin.post(f"/projects/{staffed.project_id}/pause")
                    enough_s, note = None, "waits for what still rings and talks"
                if self.options.concludes and enough_s is None and await self._is_over():
                    return
                if self.options.concludes and time.monotonic() > deadline:
                    raise ListTooLong(
                        f"the list was not at its end after {limit_s:.0f} s; see {self.floor.run_dir}/waihu.log"
                    )
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await stop.wait()

    async def _is_over(self) -> bool:
        async with self._database() as connection:
            return not (
                (self.options.once and await connection.fetchval(_REMAINING))
                or await connection.fetchval(_LIVE)
                or await connection.fetchval(_UNWRAPPED)
            )

    async def _conclude(self, admin: ApiClient, staffed: Staffed, seconds: float) -> int:
        """Everybody goes home; then the books are compared."""
        for robot in staffed.robots:
            robot.leaving = True
        with self.console.status("waiting for the last recordings"):
            await self._recordings_settle()
        with self.console.status("comparing the books with the carrier's"):
            async with self._database() as connection:
                attempts = await evidence.attempts(connection)
                recordings = await evidence.recordings(connection, self.floor.store_dir, self.floor.recording_keys)
                waits_ms = await evidence.answer_to_bridge_ms(connection)
                connecting_ms = await evidence.agent_to_bridge_ms(connection)
                leaks = await _leaks(connection)
                pauses = await evidence.pauses(connection)
                script, unfinished = await gone_through(connection)
                paced = await pace.measured(connection, staffed.project_id)
        with self.console.status("asking the simulator what it would have said"):
            foreseen = None if paced is None else await asyncio.to_thread(self._forecast, paced)
        homes = {one["number"]: one["province"] for one in await admin.all("/caller-numbers")}
        carrier = evidence.carrier_facts(self.floor.carrier.cdr())
        dispositions: Counter[str] = Counter()
        for robot in staffed.robots:
            dispositions.update(robot.notes.dispositions)
        options = self.options
        facts = report.Facts(
            attempts=attempts, recordings=recordings, carrier=carrier, answer_to_bridge_ms=waits_ms, agent_to_bridge_ms=connecting_ms, mismatches=[*compare.compare(attempts, recordings, carrier), *leaks],
            agents=len(staffed.seats), seconds=seconds, dispositions=dict(dispositions),
            shown_at_home=evidence.shown_at_home(attempts, homes), utilisation=None if paced is None else paced.utilisation, budget=await admin.get(f"/projects/{staffed.project_id}/abandonment"), forecast=foreseen,
            settings={"mode": options.mode, "ratio": options.ratio, "seed": options.seed, "people": options.people, "minutes": options.minutes, "time_scale": options.time_scale},
        )  # fmt: skip
        result = report.figures(facts)
        result["first_call_s"] = self.first_call_s
        result["script"] = script
        result["pauses"] = pauses | {"asked": sum(robot.notes.pauses for robot in staffed.robots)}
        result["gates"] = gates = await self.house.held_back(admin, staffed.project_id)
        with self.console.status("burning the day's recordings, and reading them again"):
            async with self._database() as connection:
                burning = Burning(self.floor.config_path, self.floor.store_dir, self.floor.run_dir)
                result["archive"], unburned = await burning.burn(connection)
        found = [
            *facts.mismatches,
            *unburned,
            *unfinished,
            *(self.house.not_held_back(gates) if options.once else []),
            *self.house.called_all_the_same(carrier),
            *report.contradictions_of_sums(result),
            *(report.missing_behaviours(result) if options.once else []),
        ]
        result["mismatches"] = [{"what": one.what, "attempt": one.attempt, "detail": one.detail} for one in found]
        report.write_json(options.json_path, result)
        report.print_summary(self.console, result, options.json_path)
        return 1 if found else 0

    def _forecast(self, paced: pace.Paced) -> WhatIf | None:
        return pace.forecast(
            paced,
            mode=Mode(self.options.mode),
            ratio=float(self.options.ratio),
            cap=float(self.options.abandonment_cap),
            agent_wait_s=_AGENT_WAIT_S,
        )

    async def _recordings_settle(self) -> None:
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            async with self._database() as connection:
                if not await connection.fetchval(_UNRECORDED):
                    return
            await asyncio.sleep(0.5)

    async def _follow(self, admin: ApiClient) -> None:
        while True:
            with contextlib.suppress(ApiRefused, *RETRYABLE):
                async with admin.live() as messages:
                    async for message in messages:
                        self.picture.take(message)
                        if self.first_call_s is None and self.picture.state.get("call"):
                            self.first_call_s = round(time.monotonic() - self._began, 1)
            await asyncio.sleep(0.5)

    async def _count_rows(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                async with self._database() as connection:
                    self.picture.recordings = {
                        row["state"]: row["count"] for row in await connection.fetch(_RECORDINGS)
                    }
                    self.picture.leads = {row["state"]: row["count"] for row in await connection.fetch(_LEADS)}
            await asyncio.sleep(_ROWS_EVERY_S)

    @contextlib.asynccontextmanager
    async def _database(self) -> AsyncIterator[Any]:
        connection = await self.floor.connect()
        try:
            yield connection
        finally:
            await connection.close()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _step(self, what: str) -> None:
        self.console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/]  {what}", highlight=False)


class ListTooLong(Exception):
    """The list did not come to its end in time."""


class _Quiet:
    """In place of the live view where there is no terminal: a line every ten seconds."""

    def __init__(self, console: Console, picture: Picture) -> None:
        self._console = console
        self._picture = picture
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, _drawing: object, *, refresh: bool) -> None:
        del refresh
        if time.monotonic() - self._last < 10:
            return
        self._last = time.monotonic()
        counters = self._picture.of("counters")
        figures = {
            name: sum(int(counter.get(name) or 0) for counter in counters)
            for name in ("attempts", "answered", "bridged", "abandoned")
        }
        line = ", ".join(f"{count} {name}" for name, count in figures.items())
        states = ", ".join(
            f"{count} {state}"
            for state, count in Counter(agent.get("state") for agent in self._picture.of("agent")).items()
        )
        self._console.print(
            f"       {line}; in flight {len(self._picture.of('call'))}; agents: {states or 'none yet'}", highlight=False
        )


async def _leaks(connection: Any) -> list[compare.Mismatch]:
    """Rows that should be gone or moved when nothing is live any more."""
    questions: dict[str, str] = {
        "a live attempt was left over": _LIVE,
        "a lead was left in flight": "select count(*) from leads where state = 'in_flight'",
        "a lead's count of attempts is another one": "select count(*) from leads l where l.attempts <> (select count(*) from attempts a where a.lead_id = l.id)",
        "an agent's time overlaps another": (
            "select count(*) from agent_times a join agent_times b on a.agent_id = b.agent_id and a.id < b.id and tstzrange(a.began_at, a.ended_at) && tstzrange(b.began_at, b.ended_at)"
        ),
    }
    found = []
    for what, question in questions.items():
        if count := await connection.fetchval(question):
            found.append(compare.Mismatch(what=what, attempt="", detail=str(count)))
    return found


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  # the lab is a rim
