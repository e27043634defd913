"""The result of a run: the figures of `.run/demo.json`, and the same as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from dialer.domain.outcomes import Outcome
from dialer.simulation.what_if import WhatIf
from lab.carrier.behaviour import Behaviour
from lab.demo.compare import (
    ANSWERED,
    AttemptFact,
    CarrierFact,
    Mismatch,
    RecordingFact,
    mute,
    nothing_to_record,
    outcomes,
    percentile,
)

_SHOWN = 15
_BUDGET = ("definition", "cap", "since", "calls", "answered", "abandoned", "allowed", "left", "share", "standing")
_FORECAST = {"utilisation": "utilisation_percent", "abandonment": "abandoned_percent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is known about a run."""

    attempts: Sequence[AttemptFact]
    recordings: Sequence[RecordingFact]
    carrier: Sequence[CarrierFact]
    answer_to_bridge_ms: Sequence[float]
    agent_to_bridge_ms: Sequence[float]
    mismatches: Sequence[Mismatch]
    agents: int
    seconds: float
    dispositions: dict[str, int]
    utilisation: float | None
    budget: dict[str, Any]  # as the API says it
    forecast: WhatIf | None
    shown_at_home: dict[str, int]  # how many calls could show a number of the callee's province, and how many did
    settings: dict[str, Any]


def figures(facts: Facts) -> dict[str, Any]:
    """The contents of demo.json."""
    answered = [attempt for attempt in facts.attempts if attempt.answered_at is not None]
    recordings = {recording.attempt_id: recording for recording in facts.recordings}
    abandoned = [attempt for attempt in facts.attempts if attempt.abandoned]
    words = outcomes(facts.attempts)
    without_sound = mute(facts.attempts, facts.carrier)
    return {
        "attempts": len(facts.attempts),
        "answered": len(answered),
        "bridged": sum(attempt.bridged_at is not None for attempt in facts.attempts),
        "abandoned": len(abandoned),
        "gone_before_a_sound": sum(
            attempt.id in recordings
            and nothing_to_record(attempt, recordings[attempt.id], is_mute=attempt.id in without_sound)
            for attempt in answered
        ),
        "recordings": sum(recording.state == "stored" for recording in facts.recordings),
        "agents": facts.agents,
        "agents_with_calls": len({attempt.agent_id for attempt in facts.attempts if attempt.agent_id}),
        "outcomes": words,
        "behaviours": dict(sorted(Counter(str(call.behaviour) for call in facts.carrier).items())),
        "dispositions": dict(sorted(facts.dispositions.items())),
        "caller_numbers": dict(sorted(Counter(attempt.caller_number for attempt in facts.attempts).items())),
        "shown_at_home": facts.shown_at_home,
        "carrier_cdr": len(facts.carrier),
        "carrier_answered": sum(call.answered is not None for call in facts.carrier),
        "mismatches": [asdict(mismatch) for mismatch in facts.mismatches],
        "answer_to_bridge_ms": _percentiles(facts.answer_to_bridge_ms),
        "agent_to_bridge_ms": _percentiles(facts.agent_to_bridge_ms),
        "abandonment": round(len(abandoned) / len(answered), 4) if answered else None,
        "abandonment_budget": {name: facts.budget[name] for name in _BUDGET},
        "utilisation": None if facts.utilisation is None else round(facts.utilisation, 4),
        "forecast": None if facts.forecast is None else asdict(facts.forecast),
        "seconds": round(facts.seconds, 1),
        "settings": facts.settings,
    }


def contradictions_of_sums(result: dict[str, Any]) -> list[Mismatch]:
    """Sums that do not add up, on top of what is compared call by call."""
    words: dict[str, int] = dict(result["outcomes"])
    sums = {
        "outcomes add up to attempts": (sum(words.values()), result["attempts"]),
        "connected is bridged": (words.get(Outcome.CONNECTED, 0), result["bridged"]),
        "abandoned outcomes are abandoned": (words.get(Outcome.ABANDONED, 0), result["abandoned"]),
        "answered outcomes are answered": (sum(words.get(one, 0) for one in ANSWERED), result["answered"]),
        "answered calls are in the abandonment budget": (
            sum(result["abandonment_budget"]["calls"].values()),
            result["answered"],
        ),
        "answered calls are recorded": (result["answered"], result["recordings"] + result["gone_before_a_sound"]),
        "the carrier answered as often as we were answered": (result["carrier_answered"], result["answered"]),
        "pauses that robots were told of are in the books": (
            max(result["pauses"]["asked"], result["pauses"]["count"]),
            result["pauses"]["count"],
        ),
        "attempts on the wire are carrier calls": (
            result["attempts"] - words.get(Outcome.NOT_SENT, 0),
            result["carrier_cdr"],
        ),
    }
    return [
        Mismatch(what=what, attempt="", detail=f"{left} against {right}")
        for what, (left, right) in sums.items()
        if left != right
    ]


def missing_behaviours(result: dict[str, Any]) -> list[Mismatch]:
    """Rows of the lab's table that the run has not seen."""
    wanted = {str(one) for one in Behaviour if one is not Behaviour.UNKNOWN}
    return [
        Mismatch(what="a behaviour of the lab's table was not seen", attempt="", detail=one)
        for one in sorted(wanted - result["behaviours"].keys())
    ]


def write_json(path: Path, result: dict[str, Any]) -> None:
    """demo.json; whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    partial.replace(path)


def print_summary(console: Console, result: dict[str, Any], path: Path) -> None:
    """The table people read."""
    table = Table(title="Waihu demo", show_header=False, title_style="bold")
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name in ("attempts", "answered", "bridged", "abandoned", "recordings", "agents", "carrier_cdr"):
        table.add_row(name.replace("_", " "), str(result[name]))
    for name in ("answer_to_bridge_ms", "agent_to_bridge_ms"):
        took = result[name]
        table.add_row(name.removesuffix("_ms").replace("_", " ") + ", ms", f"p50 {took['p50']}  p99 {took['p99']}")
    table.add_row("seconds", str(result["seconds"]))
    archive = result["archive"]
    table.add_row(
        "archive", f"{archive['recordings']} recordings sealed on {archive['copies']} discs in {archive['seconds']} s"
    )
    at_home = result["shown_at_home"]
    table.add_row(
        "caller numbers",
        f"{len(result['caller_numbers'])}; of the callee's province in {at_home['shown']} of {at_home['possible']} calls",
    )
    script = result["script"]
    table.add_row(
        "script",
        f"{script.get('complete', 0)} calls to its end, {script.get('screened_out', 0)} screened out, {script['clauses_read']} clauses read",
    )
    pauses = result["pauses"]
    table.add_row("recording pauses", f"{pauses['count']}, {pauses['seconds']} s not recorded")
    _add_pace(table, result)
    for title in ("gates", "outcomes", "behaviours", "dispositions"):
        table.add_section()
        for name, count in result[title].items():
            table.add_row(f"{title[:-1]} {name}", str(count))
    console.print(table)
    mismatches = result["mismatches"]
    if not mismatches:
        console.print("[green]every attempt, outcome, recording and carrier record agrees[/]", highlight=False)
    else:
        console.print(f"[bold red]{len(mismatches)} contradictions[/]", highlight=False)
        for mismatch in mismatches[:_SHOWN]:
            console.print(
                f"  {mismatch['what']}: {mismatch['attempt']} {mismatch['detail']}", highlight=False, markup=False
            )
        if len(mismatches) > _SHOWN:
            console.print(f"  and {len(mismatches) - _SHOWN} more", highlight=False)
    console.print(f"written: {path}", highlight=False)


def _add_pace(table: Table, result: dict[str, Any]) -> None:
    """Utilisation and abandonment, each beside what the simulator says of such a floor."""
    table.add_section()
    for name in ("utilisation", "abandonment"):
        value = result[name]
        beside = (result["forecast"] or {}).get(_FORECAST[name])
        said = f"  forecast {beside['mean']:.1f} ± {beside['spread']:.1f} %" if beside else ""
        table.add_row(name, "-" if value is None else f"{100 * value:.1f} %{said}")
    budget = result["abandonment_budget"]
    table.add_row(
        "abandonment budget", f"{budget['left']} left of {budget['allowed']} (cap {float(budget['cap']):.0%})"
    )


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    return {"p50": _rounded(percentile(values, 0.5)), "p99": _rounded(percentile(values, 0.99))}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
