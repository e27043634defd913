"""What an operator can watch: the engine's numbers for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
        self.stragglers = Counter("waihu_stragglers", "Late, doubled or reordered news", ["of"], registry=registry)
        self.illegal = Counter("waihu_illegal_events", "Events that a state table refuses", ["of"], registry=registry)
        self.reconciled = Counter("waihu_reconciled", "Repairs by reconciliation", ["what"], registry=registry)
        self.journal_pending = Gauge("waihu_journal_pending", "Changes not yet in PostgreSQL", registry=registry)
        self.journal_flushes = Counter("waihu_journal_flushes", "Batches written", registry=registry)
        self.journal_failures = Counter(
            "waihu_journal_failures", "Batches that could not be written", registry=registry
        )
        self.loop_blocked = Counter("waihu_loop_blocked", "Times the event loop was blocked", registry=registry)
        self.up = Gauge("waihu_up", "1 when the thing can be used", ["what"], registry=registry)
