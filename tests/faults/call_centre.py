"""A whole call centre in processes of their own, as in production, led to one step of a call, hurt there, and looked at afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import asyncpg

from dialer.domain.commands import AgentLogin, AgentLogout, HangUp, Hold, PauseProject, Resume, StartProject, WrapUp
from dialer.domain.errors import WaihuError
from dialer.live.control import RemoteEngine
from lab.api_client import ApiClient
from lab.carrier import Behaviour, number_for
from lab.chaos.invariants import Away
from lab.chaos.plan import Victim
from lab.chaos.switchboard import Channels, Switchboard
from lab.demo import evidence
from lab.demo.compare import AttemptFact
from lab.floor import ADMIN, Floor
from lab.process import ChildProcess
from lab.staff import Seat, Staffed, furnish
from lab.waiting import wait_until
from tests.faults.books import broken_promises

TIME_SCALE = 0.2
ADOPTED_S = 5.0
TALK_S = 0.6
_GATE = 2_020
_NOT_YET = {"asterisk", "lease", "database", "journal"}
_SETTLED = ("done", "exhausted", "do_not_call", "callback")
_serials = itertools.count(1)

# Claims wait at the gate while a test holds its lock: the only way to stop a call between its row and its Originate.
_MAKE_GATE = f"""
create function gate() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared({_GATE}); return null; end $$;
create trigger gate after insert on live_attempts for each statement execute function gate();
"""
_AT_THE_GATE = "select count(*) from pg_locks where locktype = 'advisory' and not granted"


class Step(StrEnum):
    """How far the call has come when something dies."""

    COMMITTED = "committed"  # the row is being committed, nothing is on the wire
    ORIGINATING = "originating"  # on the wire, and the carrier has not said a word
    RINGING = "ringing"
    WAITING = "waiting"  # answered, no agent is free
    BRIDGED = "bridged"
    HELD = "held"
    WRAP_UP = "wrap_up"


@dataclass(slots=True, kw_only=True)
class Story:
    """What became of the call that lived when something died."""

    outcomes: list[str] = field(default_factory=list)  # of all attempts, in order
    kept: bool = False  # every channel that was there before is there after
    back_s: float = 0.0  # until the engine worked again, counted from when the dead one served again
    agent_after: str = ""  # as the engine says, when it works again
    call_after: str = ""  # state of the agent's call then
    violations: set[str] = field(default_factory=set)  # of invariants 1 to 5; what stays broken


class CallCentre:
    """One agent, one project, everything real. `story` is what tests ask for."""

    def __init__(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self.floor = Floor(run_dir, time_scale=TIME_SCALE, fsync=False, name="killed", rtp_ports=200)
        self.switchboard = Switchboard(self.floor.node)
        self.engine = RemoteEngine(
            f"http://127.0.0.1:{self.floor.ports.control}", self.floor.control_token, timeout_s=3
        )
        self._staffed: Staffed | None = None
        self._gate: asyncpg.Connection[asyncpg.Record] | None = None
        self._talks_since: dict[str, float] = {}
        self._others: list[ChildProcess] = []
        self._asterisk_away: list[Away] = []

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _begin(self) -> None:
        await self.floor.start(lambda _: None)
        await self.switchboard.start()
        async with ApiClient(self.floor.url) as admin:
            await admin.log_in(ADMIN, self.floor.admin_password)
            settings = {
                "mode": "ratio", "ratio": "2", "ring_timeout_s": 20, "agent_wait_ms": 6000, "wrap_up_limit_s": 60,
                "abandonment_cap": "1", "daily_cap_per_number": 10,
            }  # fmt: skip
            self._staffed = await furnish(admin, agents=1, project=settings)
        await self.floor.start_phones([seat.account for seat in self._staffed.seats])
        connection = await self.floor.connect()
        await connection.execute(_MAKE_GATE)
        await connection.close()

    async def _end(self) -> None:
        for other in self._others:
            await other.stop()
        await self.switchboard.stop()
        await self.engine.close()
        if not self.floor.carrier.running:
            await self.floor.carrier.revive()
        await self.floor.stop()

    @property
    def agent_id(self) -> UUID:
        assert self._staffed is not None
        return self._staffed.seats[0].agent_id

    @property
    def project_id(self) -> UUID:
        assert self._staffed is not None
        return self._staffed.project_id

    @property
    def seats(self) -> list[Seat]:
        """The agents' desks."""
        assert self._staffed is not None
        return self._staffed.seats

    async def story(self, victim: Victim, step: Step) -> Story:
        """Lead a call to `step`, kill, bring back, let everything come to its end, compare all books."""
        leads = await self.reach(step)
        before = await self.channels()
        killed_at = datetime.now(UTC)  # noqa: TID251 - a test looks at the clock
        self._kill(victim)
        if victim is Victim.ASTERISK:
            await wait_until(self._has_lost_asterisk, timeout_s=ADOPTED_S, what="the engine to hear of it")
        await self._open_gate()
        told = Story(back_s=await self._bring_back(victim))
        self._asterisk_away = (
            [
                Away(victim=victim, since=killed_at, until=datetime.now(UTC))  # noqa: TID251 - as above
            ]
            if victim is Victim.ASTERISK
            else []
        )
        after = await self.channels()
        told.kept = bool(before.calls) and before.calls <= after.calls
        if victim is Victim.ASTERISK:
            # What died with Asterisk is closed when its listing has been without it for a moment.
            await wait_until(self._has_no_call, timeout_s=ADOPTED_S, what="the end of what Asterisk carried")
        agent = await self.agent()
        told.agent_after, told.call_after = agent.get("state", "logged_out"), agent.get("call_state") or ""
        self.floor.carrier.thaw()
        await self.finish(leads)
        attempts = await self.attempts_of(leads)
        told.outcomes = [str(attempt.outcome) for attempt in attempts]
        told.violations = await self.violations_of(attempts, excused=victim is Victim.ASTERISK)
        return told

    async def another_engine(self, **settings: str) -> ChildProcess:
        """One more engine for the same node, `settings` differing from the first's (WAIHU_ and the name in capitals)."""
        environment = {f"WAIHU_{name.upper()}": value for name, value in settings.items()}
        other = ChildProcess(
            [sys.executable, "-m", "dialer", "engine"],
            self.floor.run_dir / f"engine-{next(_serials)}.log",
            {"WAIHU_CONFIG": str(self.floor.config_path)} | environment,
        )
        await other.start()
        self._others.append(other)
        return other

    async def tidy(self) -> None:
        """As at the beginning: everything runs, nobody is logged in, no lead is left."""
        for other in self._others:
            await other.stop()
        self._others.clear()
        self.floor.carrier.thaw()
        await self._open_gate()
        for running, start in (
            (self.floor.postgres.process.running, self.floor.postgres.start),
            (self.floor.redis.process.running, self.floor.redis.start),
            (self.floor.node.running, self.floor.node.revive),
            (self.floor.carrier.running, self.floor.carrier.revive),
            (self.floor.waihu.running, self.floor.start_waihu),
        ):
            if not running:
                await start()
        await self.works(20.0)
        await self.fetch("update leads set state = 'done' where state in ('new', 'retry')")
        with contextlib.suppress(WaihuError):
            await self.engine.execute(PauseProject(project_id=self.project_id))
        await wait_until(self._gone_home, timeout_s=40, what="the agent gone home")
        await wait_until(self._trunk_answers, timeout_s=20, what="the trunk")

    # --- to a step ---

    async def reach(self, step: Step) -> list[int]:
        await self.engine.execute(StartProject(project_id=self.project_id))
        assert self._staffed is not None
        seat = self._staffed.seats[0]
        await self.engine.execute(AgentLogin(agent_id=seat.agent_id, device_id=seat.device_id, wanted="ready"))
        await self.agent_is("ready")
        # The journal is written behind: an agent whose login died with the engine logs in again, which is another story.
        await wait_until(self._login_is_written, timeout_s=10, what="the agent's login in the journal")
        leads: list[int] = []
        match step:
            case Step.COMMITTED:
                await self._shut_gate()
                leads = await self._leads()
                await wait_until(self._is_at_the_gate, timeout_s=10, what="a claim at the gate")
            case Step.ORIGINATING:
                self.floor.carrier.freeze()
                leads = await self._leads()
                await self._attempt_is("originating")
            case Step.RINGING:
                leads = await self._leads(Behaviour.LATE_ANSWER)
                await self._attempt_is("ringing")
            case Step.WAITING:
                leads = await self._leads(Behaviour.HUMAN, Behaviour.HUMAN)
                await self._attempt_is("bridged")
                await self._attempt_is("answered")
            case Step.BRIDGED | Step.HELD | Step.WRAP_UP:
                leads = await self._leads()
                await self.agent_is("talking")
                await self._attempt_is("bridged")
                if step is Step.HELD:
                    await self.engine.execute(Hold(agent_id=self.agent_id))
                    await self._attempt_is("held")
                elif step is Step.WRAP_UP:
                    await self.engine.execute(HangUp(agent_id=self.agent_id))
                    await self.agent_is("wrap_up")
        return leads

    async def _login_is_written(self) -> bool:
        return bool(await self.fetch("select 1 from agent_live where agent_id = $1 and state = 'ready'", self.agent_id))

    async def _leads(self, *behaviours: Behaviour) -> list[int]:
        """Ring at once and talk for 24 s (people, if nothing else is said); nobody else has the numbers.

        One statement: between two, a tick of the pacer would dial the first alone.
        """
        numbers = [
            number_for(behaviour, ring_code=0, talk_code=9, serial=next(_serials), prefix="139")
            for behaviour in behaviours or (Behaviour.HUMAN,)
        ]
        rows = await self.fetch(
            "insert into leads (project_id, number) select $1, unnest($2::text[]) returning id",
            self.project_id,
            numbers,
        )
        return [int(row["id"]) for row in rows]

    async def _shut_gate(self) -> None:
        self._gate = await self.floor.connect()
        await self._gate.execute(f"select pg_advisory_lock({_GATE})")

    async def _open_gate(self) -> None:
        if self._gate is not None:
            self._gate.terminate()
            self._gate = None

    async def _is_at_the_gate(self) -> bool:
        [row] = await self.fetch(_AT_THE_GATE)
        return bool(row["count"])

    async def _attempt_is(self, state: str) -> None:
        async def it_is() -> bool:
            return bool(
                await self.fetch("select 1 from attempts where state = $1 and project_id = $2", state, self.project_id)
            )

        await wait_until(it_is, timeout_s=15, what=f"an attempt {state}")

    # --- death and life ---

    def _kill(self, victim: Victim) -> None:
        match victim:
            case Victim.ENGINE:
                self.floor.waihu.kill()
            case Victim.ASTERISK:
                self.floor.node.kill()
            case Victim.POSTGRES:
                self.floor.postgres.kill()
            case Victim.REDIS:
                self.floor.redis.kill()

    async def _bring_back(self, victim: Victim) -> float:
        match victim:
            case Victim.ENGINE:
                await self.floor.start_waihu()
            case Victim.ASTERISK:
                # A softphone keeps a dead call until its user takes it off; ours is started anew.
                assert self.floor.phones is not None
                for username in self.floor.phones.phones:
                    await self.floor.phones.vanish(username)
                await self.floor.node.revive()
                for username in self.floor.phones.phones:
                    await self.floor.phones.come_back(username)
            case Victim.POSTGRES:
                await self.floor.postgres.start()
            case Victim.REDIS:
                await self.works(ADOPTED_S)
                await self.floor.redis.start()
        began = asyncio.get_running_loop().time()
        await self.works(20.0)
        return asyncio.get_running_loop().time() - began

    async def works(self, timeout_s: float) -> None:
        async def nothing_in_the_way() -> bool:
            try:
                return (await self.engine.explain_project(self.project_id)).get("why") not in _NOT_YET
            except WaihuError:
                return False

        await wait_until(nothing_in_the_way, timeout_s=timeout_s, what=f"the engine ({self.floor.waihu.log_path})")

    async def _has_lost_asterisk(self) -> bool:
        told = await self.engine.snapshot()
        return not any(node["asterisk"] for node in told["state"].get("node", {}).values())

    async def _has_no_call(self) -> bool:
        return (await self.agent()).get("state") != "talking"

    # --- to the end ---

    async def finish(self, leads: list[int]) -> None:
        """The agent does their work until every lead has come to its end."""

        async def all_settled() -> bool:
            await self.work()
            rows = await self.fetch("select state from leads where id = any($1)", leads)
            live = await self.fetch("select 1 from live_attempts")
            return not live and all(row["state"] in _SETTLED for row in rows)

        await wait_until(all_settled, timeout_s=60, what="the end of all leads")
        await wait_until(self.work, timeout_s=30, what="the agent ready again")

    async def work(self) -> bool:
        """What an agent does next. True: nothing is to be done, the agent waits for a call."""
        agent = await self.agent()
        with contextlib.suppress(WaihuError):  # news that has overtaken us
            match agent.get("state"):
                case "talking" if agent.get("call_state") == "held":
                    await self.engine.execute(Resume(agent_id=self.agent_id))
                case "talking" if agent.get("call_state") == "bridged" and self._has_talked(agent["attempt_id"]):
                    await self.engine.execute(HangUp(agent_id=self.agent_id))
                case "wrap_up":
                    await self.engine.execute(WrapUp(agent_id=self.agent_id, disposition="agreed"))
                case "ready":
                    return bool(agent.get("seated"))
        return False

    def _has_talked(self, attempt_id: str) -> bool:
        """Long enough to leave something to hear in the recording."""
        now = asyncio.get_running_loop().time()
        return now - self._talks_since.setdefault(attempt_id, now) > TALK_S

    async def _gone_home(self) -> bool:
        agent = await self.agent()
        if agent:
            await self.work()
            with contextlib.suppress(WaihuError):
                await self.engine.execute(AgentLogout(agent_id=self.agent_id))
        channels = await self.switchboard.channels()
        live = await self.fetch("select 1 from live_attempts")
        return not agent and not live and channels is not None and not channels.calls | channels.agents

    async def _trunk_answers(self) -> bool:
        return " Avail " in await self.floor.node.console("pjsip show contacts")

    # --- looking ---

    async def agent(self) -> dict[str, Any]:
        try:
            told = await self.engine.snapshot()
        except WaihuError:
            return {"state": "unknown"}
        found: dict[str, Any] = told["state"].get("agent", {}).get(str(self.agent_id)) or {}
        return found

    async def agent_is(self, state: str) -> None:
        async def it_is() -> bool:
            return (await self.agent()).get("state") == state

        await wait_until(it_is, timeout_s=15, what=f"the agent {state}")

    async def channels(self) -> Channels:
        channels = await wait_until(self.switchboard.channels, timeout_s=10, what="Asterisk's channels")
        assert channels is not None
        return channels

    async def attempts_of(self, leads: list[int]) -> list[AttemptFact]:
        ids = {row["id"] for row in await self.fetch("select id from attempts where lead_id = any($1)", leads)}
        connection = await self.floor.connect()
        try:
            return [attempt for attempt in await evidence.attempts(connection) if attempt.id in ids]
        finally:
            await connection.close()

    async def violations_of(self, attempts: list[AttemptFact], *, excused: bool) -> set[str]:
        """Promises that stay broken: what is only late is waited for."""
        found: set[str] = set()

        async def none() -> bool:
            nonlocal found
            found = await broken_promises(
                self.floor, await self.channels(), attempts, excused=excused, asterisk_away=self._asterisk_away
            )
            return not found

        with contextlib.suppress(TimeoutError, Exception):
            await wait_until(none, timeout_s=45, what="promises kept")
        return found

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await self.floor.connect()
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()
