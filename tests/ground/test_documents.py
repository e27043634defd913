"""The documents are true: links lead somewhere, and what an operator can watch or must keep apart is on its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from dialer.engine.metrics import Metrics
from dialer.main.recorder_measures import show_alarm
from dialer.web.guard import Measures
from recorder.ledger import Alarm
from tests.ground.test_habits import tracked_files

_CHECKOUT = Path(__file__).resolve().parents[2]
_PAGES = sorted(path.relative_to(_CHECKOUT) for path in tracked_files() if path.suffix == ".md")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_PLACES = re.compile(r"^\| `([a-z/-]+/|[a-z/]+\.py)`", re.MULTILINE)


@pytest.mark.parametrize("page", _PAGES, ids=str)
def test_every_link_leads_to_a_file_that_is_there(page: Path) -> None:
    text = (_CHECKOUT / page).read_text(encoding="utf-8")
    links = [link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not (_CHECKOUT / page.parent / link).exists()] == []


def test_every_measure_is_on_the_operators_page_and_no_other() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    Measures(registry)
    show_alarm(registry, lambda: Alarm(missing=0, poisoned=0, overdue=0))
    page = (_CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    named = {name.removesuffix("_total") for name in re.findall(r"`(waihu_[a-z_]+)", page)}
    assert named == {family.name for family in registry.collect()}


def test_every_room_of_the_architecture_page_is_there() -> None:
    rooms = _PLACES.findall((_CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert len(rooms) > 10
    assert [room for room in rooms if not (_CHECKOUT / room).exists()] == []
