"""A day's log as pages for people: rows of a workbook, or Markdown; Chinese and English side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

FIGURES: Final = (
    ("calls", "呼叫次数 calls"), ("leads", "拨打名单 leads dialled"), ("reached", "触达 reached"), ("connected", "接通 connected"),
    ("valid", "有效接通 valid connects"), ("converted", "转化 converted"), ("complaints", "投诉 complaints"), ("abandoned", "呼损 abandoned"),
)  # fmt: skip
LEFT: Final = (
    ("fresh", "未拨 fresh"), ("coming_back", "待重拨 coming back"), ("callbacks", "预约回拨 callbacks"), ("dialable_now", "当前可拨 dialable now"),
)  # fmt: skip


def sections(content: Mapping[str, Any], *, signed: str) -> Iterator[tuple[str, Sequence[str], list[list[str]]]]:
    """(title, column names, rows) of each section that has something. `signed`: who signed and when, or that nobody has."""
    facts = content["facts"]
    calls = facts["calls"]
    yield "项目日志 Project log", ("项目 project", "甲方 client", "日期 day", "起草 drafted", "签字 signed"), [
        [facts["project"], facts["client"], facts["day"], facts["drafted_at"], signed]
    ]  # fmt: skip
    figures = [[label, str(calls[name])] for name, label in FIGURES]
    figures += [
        ["通话时长 talk", clock(calls["talk_s"])],
        ["座席人数 agents", str(facts["agent_count"])],
        ["座席工时 agent hours", clock(facts["work_s"])],
    ]
    yield "外呼数据 Figures", ("指标 figure", "数值 value"), figures
    for title, name in (("呼叫结局 Outcomes", "outcomes"), ("通话结果 Results", "results")):
        if calls[name]:
            yield title, ("名称 name", "次数 calls"), [[key, str(count)] for key, count in sorted(calls[name].items())]
    if facts["agents"]:
        yield "座席 Agents", ("工号 number", "姓名 name", "接通 calls", "转化 converted", "通话 talk", "工时 work"), [
            [one["number"], one["name"], str(one["calls"]), str(one["converted"]), clock(one["talk_s"]), clock(one["work_s"])]
            for one in facts["agents"]
        ]  # fmt: skip
    if facts["steps"]:
        yield "项目步骤 Steps", ("时间 at", "步骤 step", "状态 life", "何人 by", "原因 why", "整改 changed"), [
            [one["at"], one["step"], one["life"], one["by"], one["why"], one["changed"]] for one in facts["steps"]
        ]  # fmt: skip
    if facts["alarms"]:
        yield "告警 Alarms", ("告警 kind", "发生 raised", "解除 cleared"), [
            [one["kind"], one["raised"], one["cleared"] or ""] for one in facts["alarms"]
        ]  # fmt: skip
    yield (
        "剩余数据 Data left",
        ("名单 leads", "数量 count"),
        [[label, str(facts["left"][name])] for name, label in LEFT],
    )
    if content["notes"].strip():
        yield "备注 Notes", ("备注 notes",), [[line] for line in content["notes"].splitlines() if line.strip()]


def table(content: Mapping[str, Any], *, signed: str) -> Iterator[list[str]]:
    """The rows of a sheet: each section's title, its column names, its rows, an empty one."""
    for title, names, rows in sections(content, signed=signed):
        yield [title]
        yield list(names)
        yield from rows
        yield []


def markdown(content: Mapping[str, Any], *, signed: str) -> str:
    """The same as a page of Markdown; nothing a person typed breaks a table."""
    lines: list[str] = []
    for level, (title, names, rows) in enumerate(sections(content, signed=signed)):
        lines += [
            f"{'##' if level else '#'} {title}",
            "",
            _row(names),
            _row(["---"] * len(names)),
            *(_row(row) for row in rows),
            "",
        ]
    return "\n".join(lines)


def clock(seconds: int) -> str:
    """Seconds as hours, minutes and seconds."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;').replace('<', '&lt;').replace(chr(10), ' ') for cell in cells)} |"
