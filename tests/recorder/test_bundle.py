"""Bundles: names as the project wants them, whatever the data are, and indexes in which no text is more than a text."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.bundle import DEFAULT_PATTERN, FIELDS, Entry, index_html, index_xlsx, names
from recorder.errors import BadBundle

AT = datetime(2026, 3, 10, 9, 5, 7, tzinfo=ZoneInfo("Asia/Shanghai"))


def an_entry(**changes: object) -> Entry:
    values: dict[str, object] = {
        "recording_id": UUID(int=1), "attempt_id": UUID(int=2), "project": "Autumn", "started_at": AT, "duration_ms": 61_000, "agent": "1001",
        "number": "+86138****5678", "disposition": "成交", "note": "", "lead_id": 7, "sha256": "ab" * 32, **changes,
    }  # fmt: skip
    return Entry(**values)  # type: ignore[arg-type]


def test_a_name_is_made_of_the_fields_of_the_pattern() -> None:
    assert names([an_entry()], DEFAULT_PATTERN) == ["2026-03-10/090507_1001_+86138xxxx5678_成交.opus"]
    assert names([an_entry()], "{project}/{lead}-{minutes}-{call}") == [f"Autumn/7-1-{UUID(int=2).hex}.opus"]


def test_no_two_files_have_one_name_not_even_where_letters_have_no_case() -> None:
    made = names([an_entry(agent="a"), an_entry(agent="A"), an_entry(agent="a")], "{agent}")
    assert made == ["a.opus", "A-2.opus", "a-3.opus"]


@given(st.text(), st.text(), st.text(), st.sampled_from([DEFAULT_PATTERN, "{project}/{disposition}", "{agent}"]))
def test_whatever_the_data_are_a_name_stays_in_the_bundle(
    project: str, agent: str, disposition: str, pattern: str
) -> None:
    [name] = names([an_entry(project=project, agent=agent, disposition=disposition)], pattern)
    parts = name.split("/")
    assert len(parts) == pattern.count("/") + 1
    assert not any(part in {"", ".", ".."} or set(part) & set('<>:"\\|?*\0\n\r') for part in parts)
    assert parts[-1].removesuffix(".opus").upper() not in {"CON", "NUL", "COM1"}


@pytest.mark.parametrize(
    "pattern",
    ["", "/{date}", "../{date}", "{date}/../x", "{secret}", "{date!r}", "{date:>9}", "{0}", "{", "{note.x}", "a//b"],
)
def test_a_pattern_that_leaves_the_bundle_or_names_no_field_is_refused(pattern: str) -> None:
    with pytest.raises(BadBundle) as refused:
        names([an_entry()], pattern)
    assert refused.value.error_id == "bundle_pattern_invalid"


def test_the_page_plays_its_files_and_shows_texts_as_texts() -> None:
    page = index_html([("a b/成交#1.opus", an_entry(note="<script>alert(1)</script>"))], "Day & night").decode()
    assert 'src="a%20b/成交%231.opus"' in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<h1>Day &amp; night</h1>" in page


def test_the_sheet_holds_no_formula_whatever_a_note_says() -> None:
    book = index_xlsx([("a.opus", an_entry(note='=HYPERLINK("http://evil")', agent="+1", disposition="@x"))])
    with zipfile.ZipFile(io.BytesIO(book)) as inside:
        sheet = inside.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet
        assert "hyperlink" not in sheet
        assert "=HYPERLINK" in inside.read("xl/sharedStrings.xml").decode()


def test_the_fields_are_those_of_the_page() -> None:
    from pathlib import Path

    page = (Path(__file__).resolve().parents[2] / "docs" / "recordings.md").read_text(encoding="utf-8")
    assert [field for field in FIELDS if f"`{{{field}}}`" not in page] == []
