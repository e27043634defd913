"""Failures of the parts, as the errors that a client understands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from campaigns import errors as campaign_errors
from dialer.asterisk.ami.errors import ActionFailed, AmiError, UnsafeText
from dialer.db.pool import LOST
from dialer.domain.errors import BadRequest, Conflict, NotFound, Unavailable, WaihuError


@contextmanager
def client_errors() -> Iterator[None]:
    """Within, a failure of campaigns, PostgreSQL or Asterisk becomes a `dialer.domain.errors` one."""
    try:
        yield
    except campaign_errors.CampaignError as error:
        raise _of_campaign(error) from error
    except UnsafeText as error:
        raise BadRequest(error.error_id, error.message) from error
    except ActionFailed as error:
        raise Conflict(
            "asterisk_refused", f"Asterisk refused it: {error.response.message}. The call may be over."
        ) from error
    except AmiError as error:
        raise Unavailable("asterisk_away", f"Asterisk cannot be asked now ({error.error_id}). Try again.") from error
    except LOST as error:
        raise Unavailable("database_away", "PostgreSQL cannot be reached now. Try again.") from error


def _of_campaign(error: campaign_errors.CampaignError) -> WaihuError:
    match error:
        case campaign_errors.BadInput():
            kind: type[WaihuError] = BadRequest
        case campaign_errors.Missing():
            kind = NotFound
        case campaign_errors.NotEvaluable():
            kind = Unavailable
        case _:
            kind = Conflict
    return kind(error.error_id, error.message, **error.detail)
