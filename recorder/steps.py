"""The words of the intake: the steps it takes, and how a look at a call ends."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """Steps that are done, in their order."""

    ENCODED = "encoded"
    NAMED = "named"
    SYNCED = "synced"
    LEDGERED = "ledgered"
    READ_BACK = "read_back"
    VERIFIED = "verified"
    LEG_REMOVED = "leg_removed"
    REMOVED = "removed"
    POISON_LEDGERED = "poison_ledgered"
    SET_ASIDE = "set_aside"
    MISSING_LEDGERED = "missing_ledgered"


class Ending(StrEnum):
    """How a look at a call ended."""

    STORED = "stored"
    MISSING = "missing"
    POISONED = "poisoned"
    NOTHING = "nothing"  # there was nothing to do
    LIVE = "live"  # the call goes on
    LATER = "later"  # its legs are not finished, or not there yet
    AGAIN = "again"  # the encoder died, or the stored copy was wrong: another try
