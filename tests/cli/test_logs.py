"""Log lines: one JSON object each, context bound, nobody's number or name in clear."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from dialer.main import logs


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_line_is_json_with_bound_context_and_masked_number(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    with structlog.contextvars.bound_contextvars(attempt="a1", project="p1"):
        structlog.get_logger("dialer.engine").info(
            "call placed", number="+8613800001234", name="张三", channel="PJSIP/13800001234@trunk"
        )
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["attempt"], line["project"], line["level"]) == ("call placed", "a1", "p1", "info")
    assert line["number"] == "+861********34"
    assert line["name"] == "***"
    assert "13800001234" not in line["channel"]


def test_standard_library_loggers_are_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    logging.getLogger("some.library").warning("cannot reach 13800001234")
    line = json.loads(capsys.readouterr().err)
    assert "13800001234" not in line["event"]
    assert line["level"] == "warning"


def test_number_inside_a_traceback_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    try:
        raise ValueError("bad number 13800001234")
    except ValueError:
        structlog.get_logger("x").exception("refused")
    assert "13800001234" not in capsys.readouterr().err


def test_level_below_the_wanted_one_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console", "warning")
    structlog.get_logger("x").info("unwanted")
    assert capsys.readouterr().err == ""


@given(st.uuids())
def test_ids_are_never_masked(value: UUID) -> None:
    assert logs.mask_text(f"call-{value.hex} {value}") == f"call-{value.hex} {value}"


@given(st.from_regex(r"\+?[1-9][0-9]{6,14}", fullmatch=True))
def test_numbers_always_are(number: str) -> None:
    assert number not in logs.mask_text(f"to {number}, again {number}")
