"""The errors of the dialer that reach a person or a client.

WaihuError
├── BadRequest      what was sent cannot be used           (HTTP 400 / 422)
├── NotAllowed      the role or the state forbids it       (HTTP 403)
├── NotFound        there is no such thing                 (HTTP 404)
├── Conflict        it does not fit the present state      (HTTP 409)
└── Unavailable     something we need is away, try again   (HTTP 503)
"""

from __future__ import annotations


class WaihuError(Exception):
    """A failure with a stable `error_id` (documented, never renamed) and a sentence that says what to do.

    `detail` holds what a program may need (names, limits); never a full telephone number.
    """

    def __init__(self, error_id: str, message: str, **detail: object) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.detail = detail


class BadRequest(WaihuError):
    """What was sent cannot be used."""


class NotAllowed(WaihuError):
    """The role or the state forbids it."""


class NotFound(WaihuError):
    """There is no such thing."""


class Conflict(WaihuError):
    """It does not fit the present state."""


class Unavailable(WaihuError):
    """Something that is needed is away; the same request may succeed later."""
