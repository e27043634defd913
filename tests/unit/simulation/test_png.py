"""The pictures as PNG: what is drawn lies where the SVG says, in its colour."""

from __future__ import annotations

import io

from PIL import Image

from dialer.simulation.pictures import against_abandonment, bars, over_the_day
from dialer.web.simulations.png import png_of

BLUE, RED, WHITE = (11, 107, 203), (220, 38, 38), (255, 255, 255)


def dots(svg: str) -> Image.Image:
    return Image.open(io.BytesIO(png_of(svg))).convert("RGB")


def near(found: tuple[int, ...] | float | None, wanted: tuple[int, ...]) -> bool:
    assert isinstance(found, tuple)
    return all(abs(one - other) < 12 for one, other in zip(found, wanted, strict=True))


def test_a_day_is_a_point_where_utilisation_and_abandonment_put_it() -> None:
    drawn = dots(against_abandonment("春 & co", {"ours": [(2.5, 72.5)]}, 0.03))
    assert drawn.size == (1660, 950)
    assert near(drawn.getpixel((2 * 345, 2 * 235)), BLUE)
    assert near(drawn.getpixel((2 * 345, 2 * 260)), WHITE)
    column = [drawn.getpixel((2 * 400, y)) for y in range(100, 840)]
    assert any(near(dot, RED) for dot in column), "the cap, dashed"
    assert not all(near(dot, RED) for dot in column)


def test_bars_are_as_long_as_their_values_and_names_are_written() -> None:
    drawn = dots(bars("Days", {"usual": {"ours": 50.0}}))
    assert near(drawn.getpixel((2 * 300, 2 * 86)), BLUE)
    assert near(drawn.getpixel((2 * 478, 2 * 86)), BLUE)
    assert near(drawn.getpixel((2 * 484, 2 * 83)), WHITE)
    title = drawn.crop((2 * 20, 2 * 12, 2 * 80, 2 * 32))
    assert title.getextrema() != ((255, 255),) * 3


def test_a_mean_day_is_a_line_in_each_half() -> None:
    curve = [(n / 4, 80.0, 2.0) for n in range(8)]
    drawn = dots(over_the_day("A day", {"ours": curve}, 0.03))
    for y in (92, 396):
        assert any(near(drawn.getpixel((2 * 345, 2 * y + by)), BLUE) for by in range(-4, 5))
