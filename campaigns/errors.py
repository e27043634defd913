"""The errors of campaigns that reach a person or a client.

CampaignError
├── BadInput        what was given cannot be used: a number, a file, a time        (HTTP 422)
├── Missing         there is no such project, lead, import                         (HTTP 404)
├── Refused         a gate says no: this may not be dialled, or not now            (HTTP 409)
├── Conflict        it does not fit the present state                              (HTTP 409)
└── NotEvaluable    a rule cannot be evaluated, so nothing is dialled              (HTTP 503)
"""

from __future__ import annotations


class CampaignError(Exception):
    """A failure with a stable `error_id` (documented, never renamed) and a sentence that says what to do.

    `detail` holds what a program may need (rows, columns, limits); never a full telephone number.
    """

    def __init__(self, error_id: str, message: str, **detail: object) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.detail = detail


class BadInput(CampaignError):
    """What was given cannot be used."""


class Missing(CampaignError):
    """There is no such thing."""


class Refused(CampaignError):
    """A gate says no."""


class Conflict(CampaignError):
    """It does not fit the present state."""


class NotEvaluable(CampaignError):
    """A rule cannot be evaluated; fail closed."""
