"""What the dialplan's detection says, and what it means for a call."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from dialer.engine.detection import AFTER_GREETING_MS, heard

AMD_CONF = Path(__file__).parents[3] / "asterisk-conf" / "amd.conf"


@pytest.mark.parametrize(
    ("said", "machine"),
    [
        (("MACHINE", "MAXWORDS-5-4"), True),
        (("MACHINE", "LONGGREETING-1520-1500"), True),
        (("MACHINE", "INITIALSILENCE-2500-2500"), False),
        (("HUMAN", "HUMAN-800-800"), False),
        (("NOTSURE", "TOOLONG-4000"), False),
    ],
)
def test_only_what_speaks_like_a_machine_is_taken_for_one(said: tuple[str, ...], machine: bool) -> None:
    found = heard(said)
    assert found is not None
    assert found.machine is machine


@pytest.mark.parametrize("said", [(), ("", ""), ("HANGUP", ""), ("surprise",)])
def test_nobody_listened_or_nobody_is_there_any_more(said: tuple[str, ...]) -> None:
    assert heard(said) is None


def test_the_engine_knows_how_long_asterisk_waits_after_a_greeting() -> None:
    conf = configparser.ConfigParser(inline_comment_prefixes=(";",))
    conf.read(AMD_CONF)
    assert conf.getint("general", "after_greeting_silence") == AFTER_GREETING_MS
