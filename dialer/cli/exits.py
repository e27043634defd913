"""Exit codes: a script can tell a typing error from an absence that passes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum

from agi.errors import AgiError
from campaigns import errors as campaign_errors
from campaigns.errors import CampaignError
from dialer.db.pool import LOST
from dialer.domain.errors import BadRequest, Conflict, NotAllowed, NotFound, Unavailable, WaihuError
from recorder.errors import RecorderError


class Exit(IntEnum):
    """The codes; listed in docs/operations.md."""

    OK = 0
    FOUND_FAULTS = 1  # the doctor found faults, a recording does not verify, an import has rejected every row
    USAGE = 2  # the command line or a value in it cannot be used
    NOT_FOUND = 3
    REFUSED = 4  # not allowed, or it does not fit the present state
    UNAVAILABLE = 5  # something that is needed is away: the same command may succeed later
    FAILED = 6  # anything else that we know
    INTERRUPTED = 130


_WAIHU: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Exit], ...] = (
    (BadRequest, Exit.USAGE),
    (NotFound, Exit.NOT_FOUND),
    (NotAllowed, Exit.REFUSED),
    (Conflict, Exit.REFUSED),
    (Unavailable, Exit.UNAVAILABLE),
    (campaign_errors.BadInput, Exit.USAGE),
    (campaign_errors.Missing, Exit.NOT_FOUND),
    (campaign_errors.Refused, Exit.REFUSED),
    (campaign_errors.Conflict, Exit.REFUSED),
    (campaign_errors.NotEvaluable, Exit.UNAVAILABLE),
    (WaihuError, Exit.FAILED),
    (CampaignError, Exit.FAILED),
    (RecorderError, Exit.FAILED),
    (AgiError, Exit.FAILED),
    (LOST, Exit.UNAVAILABLE),
)


def exit_of(error: Exception) -> Exit | None:
    """The code of an error that we know; None for a defect, whose traceback must be seen."""
    return next((code for kind, code in _WAIHU if isinstance(error, kind)), None)


def sentence_of(error: Exception) -> str:
    """`error_id: what to do`."""
    error_id = getattr(error, "error_id", None)
    if error_id is None and isinstance(error, LOST):
        return f"database_unreachable: PostgreSQL does not answer ({str(error) or type(error).__name__}). Start it, or correct WAIHU_DATABASE_URL; waihu doctor says more."
    return f"{error_id}: {error}"


def told(work: Callable[[], int]) -> int:
    """Do it; an error that we know becomes a sentence on standard error and its code."""
    try:
        return work()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:
        code = exit_of(error)
        if code is None:
            raise
        print(sentence_of(error), file=sys.stderr)
        return code
