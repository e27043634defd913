"""The page about faults names tests that exist, and every test of this folder."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
_PAGE = (_TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
_NAMED = set(re.findall(r"`([a-z_/]+\.py::test_[a-z0-9_]+)`", _PAGE))
_WITHOUT_A_FAULT = {"faults/test_docs.py", "faults/test_trunk_health.py"}


def names_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {f"{path.relative_to(_TESTS)}::{node.name}" for node in functions if node.name.startswith("test_")}


def test_every_test_that_the_page_names_exists() -> None:
    assert len(_NAMED) > 40
    there = {name for file in {name.partition("::")[0] for name in _NAMED} for name in names_of(_TESTS / file)}
    assert _NAMED - there == set()


def test_every_test_of_a_fault_is_on_the_page() -> None:
    ours = {name for path in Path(__file__).parent.glob("test_*.py") for name in names_of(path)}
    assert {name for name in ours - _NAMED if name.partition("::")[0] not in _WITHOUT_A_FAULT} == set()
