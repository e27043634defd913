"""The pictures of `dialer.simulation.pictures` as PNG, for documents and chats that take no SVG.

It draws what those pictures are made of (lines, circles, boxes, text, in the classes of their style sheet) and nothing else that SVG knows.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Final
from xml.etree import ElementTree as ET

from PIL import Image, ImageColor, ImageDraw, ImageFont

_DOTS: Final = 2  # of the picture, for each of its points
_FINE: Final = 2  # drawn so many times larger, and made smaller again: smooth edges
_SCALE: Final = _DOTS * _FINE
_GREY, _GRID, _RED = "#6b7280", "#d9dce1", "#dc2626"  # as the style sheet says, on white
_DASH: Final = (5, 4)
_FONTS: Final = ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DejaVuSans.ttf")
"""The first that is installed; with none of them names in Chinese are boxes. Then the one that Pillow brings along."""

_Point = tuple[float, float]


def png_of(svg: str) -> bytes:
    """On white, twice as many dots as the SVG has points. Takes some tenths of a second: not for the event loop."""
    root = ET.fromstring(svg)  # noqa: S314 -- our own text
    size = (int(root.attrib["width"]) * _SCALE, int(root.attrib["height"]) * _SCALE)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for element in root:
        _element(draw, element.tag.rpartition("}")[2], element.attrib, element.text or "")
    found = io.BytesIO()
    image.resize((size[0] // _FINE, size[1] // _FINE), Image.Resampling.BOX).save(found, "PNG", optimize=True)
    return found.getvalue()


def _element(draw: ImageDraw.ImageDraw, tag: str, given: dict[str, str], text: str) -> None:
    match tag:
        case "line":
            ends = _at(given, "x1", "y1"), _at(given, "x2", "y2")
            if given.get("class") == "c":
                _dashed(draw, *ends)
            else:
                draw.line(ends, fill=_GRID, width=_SCALE)
        case "polyline":
            points = [_scaled(*map(float, pair.split(","))) for pair in given["points"].split()]
            colour = _faded(given["stroke"], float(given.get("stroke-opacity", 1)))
            width = round(float(given.get("stroke-width", 1)) * _SCALE)
            if len(points) > 1:
                draw.line(points, fill=colour, width=width, joint="curve")
        case "circle":
            (x, y), radius = _at(given, "cx", "cy"), float(given["r"]) * _SCALE
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=given["fill"])
        case "rect":
            x, y = _at(given, "x", "y")
            across, down = _at(given, "width", "height")
            draw.rectangle((x, y, x + max(0.0, across - 1), y + max(0.0, down - 1)), fill=given["fill"])
        case "text":
            title = given.get("class") == "t"
            draw.text(
                _at(given, "x", "y"), text, fill=_GREY, font=_font((15 if title else 13) * _SCALE), anchor="ls",
                stroke_width=_SCALE // 4 if title else 0,
            )  # fmt: skip
        case _:
            pass  # the style sheet, which is known here


def _dashed(draw: ImageDraw.ImageDraw, start: _Point, end: _Point) -> None:
    """Across or down."""
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    dash, gap = (part * _SCALE for part in _DASH)
    for n in range(int(length // (dash + gap)) + 1):
        from_, to = n * (dash + gap) / length, min(1.0, (n * (dash + gap) + dash) / length)
        draw.line([_between(start, end, from_), _between(start, end, to)], fill=_RED, width=_SCALE)


def _between(start: _Point, end: _Point, share: float) -> _Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _at(given: dict[str, str], x: str, y: str) -> _Point:
    return _scaled(float(given[x]), float(given[y]))


def _scaled(x: float, y: float) -> _Point:
    return x * _SCALE, y * _SCALE


def _faded(colour: str, opacity: float) -> tuple[int, ...]:
    return tuple(round(255 - opacity * (255 - part)) for part in ImageColor.getrgb(colour)[:3])


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
