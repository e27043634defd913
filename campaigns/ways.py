"""Which steps follow which, as a graph of names: what can be reached, and whether a way leads round in a circle. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

Ways = Mapping[str, Iterable[str]]
"""A step → the steps that may come after it; those that are no key of it lead nowhere."""


def reached(ways: Ways, start: str) -> set[str]:
    """The steps that some way from `start` leads to, itself too."""
    found, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name in ways and name not in found:
            found.add(name)
            waiting += ways[name]
    return found


def circle(ways: Ways) -> list[str]:
    """A way that comes back to where it began, or nothing. Steps are done when all that follows them is."""
    done: set[str] = set()
    for first in ways:
        way: list[str] = []
        branches: list[Iterator[str]] = [iter((first,))]
        while branches:
            name = next(branches[-1], None)
            if name is None:
                branches.pop()
                if way:
                    done.add(way.pop())
            elif name in way:
                return [*way[way.index(name) :], name]
            elif name in ways and name not in done:
                way.append(name)
                branches.append(iter(ways[name]))
    return []
