"""What asyncpg says while PostgreSQL is away, said once.

A pool restores its least number of connections by itself and writes a warning with a traceback for each try that fails: hundreds of lines
for one fact that its users report anyway. Here it is one line when the first try fails and one when a connection stands again.
"""

from __future__ import annotations

import logging

ASYNCPG = "asyncpg.pool"
_TRY_FAILED = "Failed to restore the pool connection"
_log = logging.getLogger(__name__)


class OncePerAbsence(logging.Filter):
    """A filter of asyncpg's logger; `connected` tells it that a connection stands."""

    def __init__(self) -> None:
        super().__init__()
        self._away = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the first failure of an absence through, in a sentence; everything else as it is."""
        if not str(record.msg).startswith(_TRY_FAILED):
            return True
        if self._away:
            return False
        self._away = True
        error = record.exc_info[1] if record.exc_info else None
        record.msg, record.args, record.exc_info = "PostgreSQL is away; the pool tries again until it is back", (), None
        record.reason = repr(error)
        return True

    def connected(self) -> None:
        """A connection was made: the absence, if there was one, is over."""
        if self._away:
            self._away = False
            _log.info("PostgreSQL is back; the pool has connections again")


once = OncePerAbsence()
"""Of this process; in use as soon as a pool is made."""
