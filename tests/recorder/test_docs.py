"""The page about recordings names every state, reason, fault and error there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recorder.faults import Fault
from recorder.ledger import RecordingState

_CHECKOUT = Path(__file__).resolve().parents[2]
_PAGE = (_CHECKOUT / "docs" / "recordings.md").read_text(encoding="utf-8")
_SOURCES = "".join(path.read_text(encoding="utf-8") for path in sorted((_CHECKOUT / "recorder").rglob("*.py")))
_RAISED = re.compile(
    r"(?:BadLeg|EncoderFailed|StoreRefused|SpoolInUse|FileGone|BadClip|BadPolicy|BadBundle|KeysRefused|_missing|_strike|_poison)\(\s*(?:call, )?\"([a-z_0-9]+)\""
)


def test_the_page_names_every_error_id_and_reason() -> None:
    ids = set(_RAISED.findall(_SOURCES))
    assert {"not_wav", "store_full", "spool_in_use", "legs_never_came", "stored_copy_wrong"} <= ids  # the search works
    assert [name for name in sorted(ids) if f"`{name}`" not in _PAGE] == []


@pytest.mark.parametrize(
    "word", [*Fault, *RecordingState, "spool_missing", "spool_full", "recording_off", "no_such_attempt"]
)
def test_the_page_names_every_fault_and_state(word: str) -> None:
    assert f"`{word}`" in _PAGE
