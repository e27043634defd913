"""What an operator can watch: the engine's numbers for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_TICK_S = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
_BRIDGE_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)


class Metrics:
    """Counters, gauges and histograms; all begin with `waihu_`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.registry = registry
        self.attempts = Counter("waihu_attempts", "Attempts sent to Asterisk", ["mode"], registry=registry)
        self.outcomes = Counter("waihu_outcomes", "Ended attempts by outcome", ["outcome"], registry=registry)
        self.live_calls = Gauge("waihu_live_calls", "Live attempts", registry=registry)
        self.agents = Gauge("waihu_agents", "Agents by state", ["state"], registry=registry)
        self.answer_to_decision = Histogram(
            "waihu_answer_to_decision_seconds",
            "From the dialplan's question to our answer",
            buckets=_BRIDGE_S,
            registry=registry,
        )
        self.answer_to_bridge = Histogram(
            "waihu_answer_to_bridge_seconds", "From answer to both sides bridged", buckets=_BRIDGE_S, registry=registry
        )
        self.agent_to_bridge = Histogram(
            "waihu_agent_to_bridge_seconds",
            "From customer and agent both there to both sides bridged",
            buckets=_BRIDGE_S,
            registry=registry,
        )
        self.stragglers = Counter("waihu_stragglers", "Late, doubled or reordered news", ["of"], registry=registry)
        self.illegal = Counter("waihu_illegal_events", "Events that a state table refuses", ["of"], registry=registry)
        self.reconciled = Counter("waihu_reconciled", "Repairs by reconciliation", ["what"], registry=registry)
        self.recording_pauses = Counter(
            "waihu_recording_pauses", "Pauses of recordings by how they ended", ["ended_by"], registry=registry
        )
        self.journal_pending = Gauge("waihu_journal_pending", "Changes not yet in PostgreSQL", registry=registry)
        self.journal_flushes = Counter("waihu_journal_flushes", "Batches written", registry=registry)
        self.journal_failures = Counter(
            "waihu_journal_failures", "Batches that could not be written", registry=registry
        )
        self.loop_blocked = Counter("waihu_loop_blocked", "Times the event loop was blocked", registry=registry)
        self.loop_late = Gauge(
            "waihu_loop_late_seconds", "How late the event loop wakes up, mean of some seconds", registry=registry
        )
        self.up = Gauge("waihu_up", "1 when the thing can be used", ["what"], registry=registry)
        of_project = ["project"]
        self.tick = Histogram(
            "waihu_tick_seconds",
            "A round of the pacer over all projects, with its claims",
            buckets=_TICK_S,
            registry=registry,
        )
        self.decision = Histogram(
            "waihu_decision_seconds",
            "Deciding for all projects in one breath, without the claims",
            buckets=_TICK_S,
            registry=registry,
        )
        self.decisions = Counter(
            "waihu_decisions",
            "Decisions of the pacer by what limited them",
            ["project", "limited_by"],
            registry=registry,
        )
        self.placed = Counter("waihu_placed", "Calls placed by the pacer", of_project, registry=registry)
        self.answered = Counter("waihu_answered", "Calls answered", of_project, registry=registry)
        self.abandoned = Counter("waihu_abandoned", "Calls abandoned", of_project, registry=registry)
        self.in_flight = Gauge("waihu_calls_in_flight", "Calls without an agent yet", of_project, registry=registry)
        self.theta = Gauge(
            "waihu_theta", "The chance to be abandoned that a call may have", of_project, registry=registry
        )
        self.answer_level = Gauge(
            "waihu_answer_level", "How the list answers, against what was learned", of_project, registry=registry
        )
        self.budget_left = Gauge(
            "waihu_abandonment_budget_left", "Calls that may still be abandoned", of_project, registry=registry
        )

        self.caller_numbers = Gauge("waihu_caller_numbers", "Caller numbers by state", ["state"], registry=registry)
        self.caller_number_alarms = Gauge(
            "waihu_caller_number_alarms", "Caller numbers that do worse than the others", registry=registry
        )
        self.stops = Counter("waihu_stops", "Projects stopped by a stop rule", ["rule"], registry=registry)
        self.stop_evidence = Gauge(
            "waihu_stop_evidence",
            "How far a stop rule is from stopping its project: 1 stops",
            ["project", "rule"],
            registry=registry,
        )
        self.alarms = Gauge("waihu_alarms", "Alarms of projects that are raised", ["kind"], registry=registry)

    def forget_project(self, label: str) -> None:
        """No more series of this project."""
        for family in (
            self.decisions, self.placed, self.answered, self.abandoned, self.in_flight, self.theta, self.answer_level, self.budget_left, self.stop_evidence,
        ):  # fmt: skip
            family.remove_by_labels({"project": label})
