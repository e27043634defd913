"""Wrong words on the command line."""

from __future__ import annotations

import contextlib
import io

import pytest
import structlog

from dialer.cli.command import run
from dialer.cli.exits import Exit


@pytest.mark.parametrize("words", [["no-such-command"], ["version", "--no-such-option"], ["user", "no-such-thing"]])
def test_a_wrong_word_gets_a_sentence_and_no_traceback(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words, lambda _parts: 0) == Exit.USAGE
    said = capsys.readouterr().err
    assert words[-1] in said
    assert "--help" in said
    assert "Traceback" not in said


def test_what_breaks_later_is_logged_to_the_standard_error_of_that_moment(capsys: pytest.CaptureFixture[str]) -> None:
    with io.StringIO() as former, contextlib.redirect_stderr(former):
        run(["no-such-command"], lambda _parts: 0)
    structlog.get_logger().error("something broke")
    assert "something broke" in capsys.readouterr().err
