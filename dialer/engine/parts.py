"""The parts of one engine, made and tied together in one place."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from uuid import UUID, uuid4

import asyncpg
from prometheus_client import CollectorRegistry

from dialer.asterisk.ami.client import AmiClient, AmiConfig
from dialer.domain.commands import ReloadProject
from dialer.domain.pacing import Limit
from dialer.engine.abandonment import Abandonment
from dialer.engine.agents import Agents
from dialer.engine.alarms import Alarms
from dialer.engine.answering import Answering
from dialer.engine.budgets import Budgets
from dialer.engine.caller_watch import CallerWatch
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.counts import Counts
from dialer.engine.departures import Departures
from dialer.engine.desk import Desk
from dialer.engine.desk.dialling import Dialling
from dialer.engine.desk.pausing import Pausing
from dialer.engine.desk.presence import Presence
from dialer.engine.desk.previewing import Previewing
from dialer.engine.desk.results import Results
from dialer.engine.desk.talking import Talking
from dialer.engine.explain import Explain
from dialer.engine.floor import Floor
from dialer.engine.giving_up import GivingUp
from dialer.engine.happenings import Happenings
from dialer.engine.journal import Journal
from dialer.engine.metrics import Metrics
from dialer.engine.number_labels import NumberLabels
from dialer.engine.pace_samples import PaceSamples
from dialer.engine.placing import Placing
from dialer.engine.policies import Policies
from dialer.engine.project_measures import ProjectMeasures
from dialer.engine.projects import Projects
from dialer.engine.provision import Provision
from dialer.engine.publishing import Publishing
from dialer.engine.reconcile import Reconcile
from dialer.engine.rule_watch import RuleWatch
from dialer.engine.seats import Seats
from dialer.engine.sending import Sending
from dialer.engine.snapshots import Snapshots
from dialer.engine.stop_watch import StopWatch
from dialer.engine.surveying import Surveying
from dialer.engine.tasks import TaskSet
from dialer.engine.wrapping import Wrapping
from dialer.live.feed import Feed

Obstacle = Callable[[], tuple[Limit, str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an engine is made of."""

    tasks: TaskSet
    metrics: Metrics
    floor: Floor
    feed: Feed
    projects: Projects
    policies: Policies
    publishing: Publishing
    journal: Journal
    calls: Calls
    agents: Agents
    ami: AmiClient
    seats: Seats
    wrapping: Wrapping
    answering: Answering
    happenings: Happenings
    counts: Counts
    abandonment: Abandonment
    samples: PaceSamples
    measures: ProjectMeasures
    alarms: Alarms
    stops: StopWatch
    rule_watch: RuleWatch
    budgets: Budgets
    sending: Sending
    placing: Placing
    dialling: Dialling
    desk: Desk
    talking: Talking
    departures: Departures
    reconcile: Reconcile
    explain: Explain
    provision: Provision
    caller_watch: CallerWatch


def assemble(
    config: EngineConfig,
    pool: asyncpg.Pool,
    *,
    feed: Feed,
    clock: Clock,
    random: Random,
    registry: CollectorRegistry | None,
    obstacle: Obstacle,
    on_ended: Callable[[Sequence[UUID]], None],
    run_id: UUID,
    lease_held: Callable[[], bool],
    on_project: Callable[[UUID], Awaitable[None]],
) -> Parts:
    """Make all parts; nothing runs yet."""
    tasks, metrics, floor = TaskSet(), Metrics(registry), Floor()
    projects = Projects(pool, config.node, clock)
    publishing = Publishing(feed, floor, projects.shows_numbers)
    journal = Journal(pool, metrics, every_s=config.journal_every_s, bound=config.journal_bound, on_ended=on_ended)
    calls = Calls(floor, journal, publishing, metrics, clock)
    agents = Agents(config.node, floor, journal, publishing, metrics, clock)
    ami = AmiClient(
        AmiConfig(
            host=config.ami_host,
            port=config.ami_port,
            user=config.ami_user,
            secret=config.ami_secret,
            name=config.node,
            action_deadline_s=config.action_deadline_s,
        ),
        random=random,
    )
    provision = Provision(config.node, pool, ami)
    seats = Seats(config, floor, agents, ami, tasks, clock, lease_held, nonce=lambda: secrets.token_hex(4))
    wrapping = Wrapping(floor, calls, agents, projects)
    giving_up = GivingUp(ami, tasks, clock)
    surveying = Surveying(pool, projects, journal, clock)
    answering = Answering(floor, calls, agents, seats, wrapping, giving_up, projects, surveying, metrics, clock)
    policies = Policies(clock)
    counts = Counts(pool, projects, feed, clock)
    abandonment = Abandonment(pool, projects, journal, feed, clock)
    budgets = Budgets(floor)
    sending = Sending(config, pool, projects, calls, budgets, ami, clock, lease_held)
    placing = Placing(
        config,
        run_id,
        pool,
        floor,
        projects,
        policies,
        Snapshots(floor, projects, abandonment, counts, budgets, clock),
        calls,
        sending,
        budgets,
        giving_up,
        publishing,
        metrics,
        counts,
        abandonment,
        tasks,
        clock,
        secrets.token_bytes,
        obstacle,
    )
    dialling = Dialling(
        config,
        run_id,
        pool,
        floor,
        projects,
        agents,
        calls,
        sending,
        budgets,
        tasks,
        clock,
        secrets.token_bytes,
        obstacle,
    )
    alarms = Alarms(feed, metrics)
    stops = StopWatch(pool, projects, alarms, metrics, clock, again_s=config.tick_s)
    rule_watch = RuleWatch(pool, alarms, clock)
    results = Results(pool, agents, clock)
    results.on_wrapped.append(stops.wrapped)
    previewing = Previewing(pool, projects, agents, dialling, tasks, clock)
    pausing = Pausing(floor, agents, calls, projects, publishing, journal, ami, tasks, metrics, clock, uuid4)
    talking = Talking(floor, agents, calls, wrapping, ami)
    desk = Desk(
        floor,
        Presence(config.node, pool, floor, agents, previewing, clock),
        dialling,
        previewing,
        talking,
        pausing,
        results,
        projects,
        giving_up,
        provision=provision.put,
        unprovision=provision.remove,
        on_project=on_project,
    )
    agents.on_ready.append(lambda _agent: placing.wake())
    calls.on_ended.append(counts.ended)
    calls.on_ended.append(abandonment.ended)
    calls.on_ended.append(stops.ended)
    stops.on_stopped.append(
        lambda project_id: tasks.spawn(
            f"stopped {project_id}", desk.execute(ReloadProject(project_id=project_id, hang_up_ringing=True))
        )
    )
    samples, measures = PaceSamples(), ProjectMeasures(metrics)
    placing.on_decided += [samples.note, measures.decided]
    abandonment.on_news.append(lambda project_id, budget: measures.budget(project_id, budget.left))
    calls.on_answered.append(measures.answered)
    calls.on_ended.append(measures.ended)
    calls.on_answered.append(policies.answered)
    calls.on_heard += [policies.heard, lambda _call: placing.wake()]
    calls.on_ended.append(policies.ended)
    agents.on_left.append(policies.left)
    calls.on_ended.append(lambda _call: placing.wake())
    calls.on_ended.append(lambda call: budgets.health.ended(call.trunk_id, call.outcome, clock.monotonic()))
    calls.on_bridged.append(lambda call: budgets.health.works(call.trunk_id))
    happenings = Happenings(floor, calls, seats, clock)
    reconcile = Reconcile(
        config, pool, ami, floor, calls, agents, seats, wrapping, pausing, budgets, journal, metrics, clock
    )
    happenings.on_refusal_unheard.append(
        lambda call: tasks.spawn(f"refusal {call.attempt_id}", reconcile.close_refused(call))
    )
    return Parts(
        tasks=tasks,
        metrics=metrics,
        floor=floor,
        feed=feed,
        projects=projects,
        policies=policies,
        publishing=publishing,
        journal=journal,
        calls=calls,
        agents=agents,
        ami=ami,
        seats=seats,
        wrapping=wrapping,
        answering=answering,
        happenings=happenings,
        counts=counts,
        abandonment=abandonment,
        samples=samples,
        measures=measures,
        alarms=alarms,
        stops=stops,
        rule_watch=rule_watch,
        budgets=budgets,
        sending=sending,
        placing=placing,
        dialling=dialling,
        desk=desk,
        talking=talking,
        departures=Departures(pool, floor, publishing, desk.execute, clock),
        reconcile=reconcile,
        provision=provision,
        caller_watch=CallerWatch(
            config,
            pool,
            publishing,
            metrics,
            clock,
            NumberLabels(config.label_url, config.label_token) if config.label_url else None,
        ),
        explain=Explain(pool, floor, projects, placing, clock, obstacle),
    )
