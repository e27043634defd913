"""docs/scripts.md is true: its example can be published, and it lists every finding of the check."""

from __future__ import annotations

import re
from pathlib import Path

from campaigns.scripts.checking import problems_of
from campaigns.scripts.document import ScriptDocument

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_can_be_published() -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert problems_of(ScriptDocument.model_validate_json(example)) == []


def test_every_finding_of_the_check_is_on_the_page_and_no_other() -> None:
    sources = [ROOT / "campaigns" / room / "checking.py" for room in ("questionnaires", "scripts")]
    told = {code for path in sources for code in re.findall(r'code="([a-z_]+)"', path.read_text(encoding="utf-8"))}
    table = PAGE.split("## What the check finds")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) (?:\(remark\) )?\|", table, re.MULTILINE)
    assert told == {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}
