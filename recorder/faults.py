"""What can be wrong with a recording that is kept all the same: pure checks of what was measured while encoding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

Side = Literal["customer", "agent"]

SILENT_BELOW: Final = 328
"""Peak of a 100 ms window under which it counts as silence: -40 dBFS of 16-bit samples."""

_OUT_OF_STEP_MS: Final = 200
_SHORT_AT_LEAST_MS: Final = 1500
_SHORT_SHARE: Final = 0.02
_CLIPPED_SHARE: Final = 0.01  # a full-blown vowel touches the stop; one sample in a hundred is distortion
_FAINT_BELOW_DB: Final = -38.0


class Fault(StrEnum):
    """Written into `recordings.faults`, each with the side or the milliseconds it is about."""

    HEADER_REPAIRED = "header_repaired"  # the file was never closed: Asterisk was killed
    LEG_MISSING = "leg_missing"  # one side's file never came; it is silence in the master
    LEG_EMPTY = "leg_empty"  # the file came without a sound in it
    LEG_SILENT = "leg_silent"  # nothing above -40 dBFS on this side
    OUT_OF_STEP = "out_of_step"  # the sides differ in length; the shorter was padded at its end
    SHORT = "short"  # less sound than the call lasted
    LONG = "long"  # more sound than the call lasted
    CLIPPED = "clipped"  # the voice on this side is cut off at its peaks: a gain is too high
    FAINT = "faint"  # the voice on this side is hardly to be heard: a gain is too low
    HEARD_IN_PAUSE = "heard_in_pause"  # there is sound on this side where the recording was paused


@dataclass(frozen=True, slots=True, kw_only=True)
class LegMeasure:
    """What was seen of one leg: its length, whether it was there and closed, how long it was loud, and its voice.

    `speech_db` is dB of full scale (None: no voice); `clipped_share` is of the samples with voice; `heard_in_pause_ms` is sound where there should be none.
    """

    side: Side
    present: bool
    closed: bool
    frames: int
    loud_ms: int
    speech_db: float | None = None
    clipped_share: float = 0.0
    heard_in_pause_ms: int = 0


def judge(
    legs: tuple[LegMeasure, LegMeasure], *, rate_hz: int, expected_ms: int | None, paused: bool = False
) -> list[dict[str, Any]]:
    """Faults of a call whose answer-to-hang-up time is `expected_ms` (None: not known). `paused`: not all of it was recorded, so nobody can be said to have been silent."""
    found: list[dict[str, Any]] = []
    for leg in legs:
        if not leg.present:
            found.append({"fault": Fault.LEG_MISSING, "side": leg.side})
        elif leg.frames == 0:
            found.append({"fault": Fault.LEG_EMPTY, "side": leg.side})
        else:
            if not leg.closed:
                found.append({"fault": Fault.HEADER_REPAIRED, "side": leg.side})
            if leg.loud_ms == 0 and not paused:
                found.append({"fault": Fault.LEG_SILENT, "side": leg.side})
            if leg.clipped_share > _CLIPPED_SHARE:
                found.append({"fault": Fault.CLIPPED, "side": leg.side})
            if leg.speech_db is not None and leg.speech_db < _FAINT_BELOW_DB:
                found.append({"fault": Fault.FAINT, "side": leg.side})
            if leg.heard_in_pause_ms:
                found.append({"fault": Fault.HEARD_IN_PAUSE, "side": leg.side, "ms": leg.heard_in_pause_ms})
    lengths_ms = [leg.frames * 1000 // rate_hz for leg in legs]
    apart_ms = abs(lengths_ms[0] - lengths_ms[1])
    if all(lengths_ms) and apart_ms > _OUT_OF_STEP_MS:
        found.append({"fault": Fault.OUT_OF_STEP, "ms": apart_ms})
    if expected_ms is not None:
        found.extend(_length_faults(max(lengths_ms), expected_ms))
    return found


def _length_faults(length_ms: int, expected_ms: int) -> list[dict[str, Any]]:
    tolerance_ms = max(_SHORT_AT_LEAST_MS, round(expected_ms * _SHORT_SHARE))
    if length_ms < expected_ms - tolerance_ms:
        return [{"fault": Fault.SHORT, "ms": expected_ms - length_ms}]
    if length_ms > expected_ms + tolerance_ms:
        return [{"fault": Fault.LONG, "ms": length_ms - expected_ms}]
    return []
