"""The live view in the terminal: agents, calls in flight, outcomes, pacing, recordings, where the API is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.robot import Robot

_STATE_STYLE = {
    "ready": "green",
    "talking": "bold cyan",
    "wrap_up": "yellow",
    "break": "magenta",
    "reserved": "blue",
    "seating": "dim",
    "logged_out": "dim",
    "away": "red",
}
_CALLS_SHOWN = 12


class Picture:
    """What the live feed says, kept up to date."""

    def __init__(self) -> None:
        self.state: dict[str, dict[str, Any]] = {}
        self.recordings: Mapping[str, int] = {}
        self.leads: Mapping[str, int] = {}

    def take(self, message: Mapping[str, Any]) -> None:
        """One message of the feed."""
        if message["type"] == "full":
            self.state = {kind: dict(values) for kind, values in message["state"].items()}
            return
        values = self.state.setdefault(message["kind"], {})
        if message["value"] is None:
            values.pop(message["key"], None)
        else:
            values[message["key"]] = message["value"]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All of one kind."""
        return list(self.state.get(kind, {}).values())


def draw(
    picture: Picture, robots: list[Robot], *, url: str, began: datetime, now: datetime, note: str
) -> RenderableType:
    """The whole screen."""
    head = Text.assemble(
        ("Waihu ", "bold"),
        f"running {_span((now - began).total_seconds())}   API docs: ",
        (f"{url}/api/docs", "underline"),
        "   metrics: ",
        f"{url}/metrics",
        f"   {note}",
    )
    return Group(
        head,
        Columns([_agents(picture, robots, now), _calls(picture, now)], padding=(0, 1)),
        Columns([_outcomes(picture), _pacing(picture), _store(picture)], padding=(0, 1)),
    )


def _agents(picture: Picture, robots: list[Robot], now: datetime) -> Panel:
    table = Table(box=None, pad_edge=False)
    for name in ("agent", "state", "for", "calls"):
        table.add_column(name, justify="right" if name in {"for", "calls"} else "left")
    agents = picture.state.get("agent", {})
    for robot in robots:
        agent = agents.get(str(robot.agent_id), {})
        state = agent.get("state", "logged_out")
        table.add_row(
            robot.login,
            Text(state, _STATE_STYLE.get(state, "")),
            _since(agent.get("since"), now),
            str(robot.notes.calls),
        )
    return Panel(table, title="agents", title_align="left")


def _calls(picture: Picture, now: datetime) -> Panel:
    table = Table(box=None, pad_edge=False)
    for name in ("number", "state", "for"):
        table.add_column(name)
    calls = sorted(picture.of("call"), key=lambda call: str(call.get("created_at")))
    for call in calls[:_CALLS_SHOWN]:
        since = call.get("bridged_at") or call.get("answered_at") or call.get("ringing_at") or call.get("created_at")
        table.add_row(str(call.get("number", "")), str(call.get("state", "")), _since(since, now))
    more = len(calls) - _CALLS_SHOWN
    title = f"calls in flight: {len(calls)}" + (f" ({more} not shown)" if more > 0 else "")
    return Panel(table, title=title, title_align="left", width=44)


def _outcomes(picture: Picture) -> Panel:
    table = Table(box=None, pad_edge=False, show_header=False)
    counts: Counter[str] = Counter()
    for counter in picture.of("counters"):
        for name in ("attempts", "answered", "bridged", "abandoned"):
            counts[name] += int(counter.get(name) or 0)
    for name, count in counts.items():
        table.add_row(Text(name, "bold"), str(count))
    words: Counter[str] = Counter()
    for counter in picture.of("counters"):
        words.update(counter.get("outcomes") or {})
    for name, count in sorted(words.items()):
        table.add_row(name, str(count))
    return Panel(table, title="outcomes", title_align="left")


def _pacing(picture: Picture) -> Panel:
    table = Table(box=None, pad_edge=False, show_header=False)
    for pacing in picture.of("pacing"):
        for name in ("ready", "agents", "in_flight", "waiting", "place", "limited_by"):
            table.add_row(name.replace("_", " "), str(pacing.get(name, "")))
    for node in picture.of("node"):
        table.add_row("asterisk", "up" if node.get("asterisk") else "away")
        table.add_row("journal", str(node.get("journal_pending", "")))
    return Panel(table, title="pacing", title_align="left")


def _store(picture: Picture) -> Panel:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, count in sorted(picture.recordings.items()):
        table.add_row(f"recordings {name}", str(count))
    for name, count in sorted(picture.leads.items()):
        table.add_row(f"leads {name}", str(count))
    return Panel(table, title="rows", title_align="left")


def _since(text: object, now: datetime) -> str:
    if not text:
        return ""
    return _span((now - datetime.fromisoformat(str(text)).astimezone(UTC)).total_seconds())


def _span(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
