"""Pictures of what was simulated, as SVG: small, without a library, readable on white and on black."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = ("#0b6bcb", "#c2410c", "#6b7280", "#15803d", "#a16207", "#7e22ce", "#be185d", "#0e7490")
_STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#6b7280}.t{font-size:15px;font-weight:600}"
    ".g{stroke:#9ca3af;stroke-opacity:.35}.c{stroke:#dc2626;stroke-dasharray:5 4}</style>"
)


@dataclass(frozen=True, slots=True)
class Axis:
    """From a lowest to a highest value, over so many points of the picture."""

    lowest: float
    highest: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies; what is outside lies on the edge."""
        share = (min(self.highest, max(self.lowest, value)) - self.lowest) / (self.highest - self.lowest)
        return round(self.start + share * (self.end - self.start), 1)


def against_abandonment(title: str, series: Mapping[str, Sequence[tuple[float, float]]], cap: float) -> str:
    """Utilisation against abandonment, both in percent: each policy a colour, each pool size a point, smallest first."""
    across, up = Axis(0, 5, 70, 620), Axis(45, 100, 420, 50)
    parts = [_text(70, 28, title, "t"), _text(250, 458, "abandoned, % of answered (more than 5 on the edge)")]
    parts += [_line(across.at(n), 50, across.at(n), 420) + _text(across.at(n) - 4, 438, str(n)) for n in range(6)]
    parts += [_line(70, up.at(n), 620, up.at(n)) + _text(40, up.at(n) + 4, str(n)) for n in range(50, 101, 10)]
    parts.append(_line(across.at(100 * cap), 50, across.at(100 * cap), 420, "c"))
    for n, (name, points) in enumerate(series.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        places = [(across.at(abandoned), up.at(utilisation)) for abandoned, utilisation in points]
        path = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-opacity=".5"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="{3 + 0.8 * k}" fill="{colour}"/>' for k, (x, y) in enumerate(places)]
        parts.append(f'<circle cx="650" cy="{66 + 24 * n}" r="5" fill="{colour}"/>' + _text(662, 70 + 24 * n, name))
    return _svg(830, 475, parts)


def over_the_day(title: str, curves: Mapping[str, Sequence[tuple[float, float, float]]], cap: float) -> str:
    """Utilisation above, abandonment below, by the hour; each curve as `what_if.mean_curve` gives it."""
    hours = max((curve[-1][0] + 0.25 for curve in curves.values() if curve), default=1.0)
    across, up, down = Axis(0, hours, 70, 620), Axis(0, 100, 260, 50), Axis(0, 10, 420, 300)
    parts = [
        _text(70, 28, title, "t"),
        _text(310, 458, "hours"),
        _text(70, 294, "abandoned, % (more than 10 on the edge)"),
    ]
    parts += [_line(70, up.at(n), 620, up.at(n)) + _text(40, up.at(n) + 4, str(n)) for n in range(0, 101, 25)]
    parts += [_line(70, down.at(n), 620, down.at(n)) + _text(40, down.at(n) + 4, str(n)) for n in (0, 5, 10)]
    parts += [_text(across.at(n) - 4, 438, str(n)) for n in range(int(hours) + 1)]
    parts.append(_line(70, down.at(100 * cap), 620, down.at(100 * cap), "c"))
    for n, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        for axis, column in ((up, 1), (down, 2)):
            path = " ".join(f"{across.at(point[0] + 0.125)},{axis.at(point[column])}" for point in curve)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<circle cx="650" cy="{66 + 24 * n}" r="5" fill="{colour}"/>' + _text(662, 70 + 24 * n, name))
    return _svg(830, 475, parts)


def in_a_line(values: Sequence[float], lowest: float, highest: float) -> str:
    """A curve for the terminal: a block for each value, the higher the fuller."""
    blocks = "▁▂▃▄▅▆▇█"
    axis = Axis(lowest, highest, 0, len(blocks) - 1)
    return "".join(blocks[round(axis.at(value))] for value in values)


def bars(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Utilisation in percent: for each row a bar for each policy."""
    across = Axis(0, 100, 260, 700)
    parts, y = [_text(20, 28, title, "t")], 50.0
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    for n, name in enumerate(names):
        parts.append(f'<rect x="{260 + 190 * n}" y="{y}" width="11" height="11" fill="{_COLOURS[n % len(_COLOURS)]}"/>')
        parts.append(_text(278 + 190 * n, y + 11, name))
    y += 30
    for label, row in rows.items():
        parts.append(_text(20, y + 6 + 7 * len(row), label))
        for name, value in row.items():
            colour = _COLOURS[names.index(name) % len(_COLOURS)]
            width = round(across.at(value) - across.start, 1)
            parts.append(f'<rect x="260" y="{y}" width="{width}" height="13" fill="{colour}"/>')
            parts.append(_text(268 + width, y + 11, f"{value:.1f}"))
            y += 15
        y += 10
    return _svg(780, round(y + 10), parts)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
    return "\n".join([head, _STYLE, *parts, "</svg>", ""])


def _text(x: float, y: float, words: str, kind: str = "w") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "g") -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{kind}"/>'
