"""What a person's number does when it is dialled: the codes inside the digits.

A number of the lab is +86 1PP BB R T SSSS: 1PP a mobile prefix, BB the behaviour, R the ring code, T the talk code, SSSS a serial
number. The carrier's dialplan (conf/extensions.conf) reads the same digits; docs/lab.md holds the table, and a test keeps the three equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RING_S = (0, 1, 2, 3, 4, 6, 8, 12, 18, 25)
TALK_S = (1, 2, 3, 5, 8, 12, 20, 35, 60, 120)
PREFIXES = (
    "133",
    "135",
    "136",
    "137",
    "138",
    "139",
    "150",
    "151",
    "152",
    "157",
    "158",
    "159",
    "180",
    "182",
    "185",
    "186",
    "187",
    "188",
    "189",
    "199",
)
SERIALS = 10_000


class Behaviour(StrEnum):
    HUMAN = "human"
    PRESSES_KEYS = "presses_keys"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    VACANT = "vacant"
    POWERED_OFF = "powered_off"
    VOICEMAIL = "voicemail"
    ANSWER_HANGUP = "answer_hangup"
    CONGESTION = "congestion"
    EARLY_MEDIA = "early_media"
    LATE_ANSWER = "late_answer"
    ONE_WAY_AUDIO = "one_way_audio"
    UNKNOWN = "unknown"  # a number that is not one of ours


CODES = {
    Behaviour.HUMAN: "10",
    Behaviour.PRESSES_KEYS: "11",
    Behaviour.BUSY: "20",
    Behaviour.NO_ANSWER: "30",
    Behaviour.REJECTED: "31",
    Behaviour.VACANT: "40",
    Behaviour.POWERED_OFF: "41",
    Behaviour.VOICEMAIL: "50",
    Behaviour.ANSWER_HANGUP: "60",
    Behaviour.CONGESTION: "70",
    Behaviour.EARLY_MEDIA: "80",
    Behaviour.LATE_ANSWER: "81",
    Behaviour.ONE_WAY_AUDIO: "90",
}
ANSWERING = frozenset(
    {
        Behaviour.HUMAN,
        Behaviour.PRESSES_KEYS,
        Behaviour.VOICEMAIL,
        Behaviour.ANSWER_HANGUP,
        Behaviour.EARLY_MEDIA,
        Behaviour.LATE_ANSWER,
        Behaviour.ONE_WAY_AUDIO,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a number says. Seconds before the carrier's time scale."""

    behaviour: Behaviour
    ring_s: int
    talk_s: int


def number_for(
    behaviour: Behaviour, *, ring_code: int = 1, talk_code: int = 2, serial: int = 0, prefix: str = "138"
) -> str:
    """The E.164 number that behaves so. ring_code and talk_code are places in RING_S and TALK_S."""
    if prefix not in PREFIXES or not 0 <= ring_code <= 9 or not 0 <= talk_code <= 9 or not 0 <= serial < SERIALS:
        raise ValueError(f"no such number in the lab: {prefix} ring {ring_code} talk {talk_code} serial {serial}")
    return f"+86{prefix}{CODES[behaviour]}{ring_code}{talk_code}{serial:04d}"


def decode(number: str) -> Decoded:
    """What the carrier does with `number` (E.164, or national with 11 digits)."""
    digits = number.removeprefix("+86")
    behaviours = {code: behaviour for behaviour, code in CODES.items()}
    if len(digits) != 11 or not digits.isascii() or not digits.isdigit() or digits[3:5] not in behaviours:
        return Decoded(behaviour=Behaviour.UNKNOWN, ring_s=0, talk_s=0)
    return Decoded(behaviour=behaviours[digits[3:5]], ring_s=RING_S[int(digits[5])], talk_s=TALK_S[int(digits[6])])
