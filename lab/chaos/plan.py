"""What is killed, and when: drawn from a seed, so that a run can be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Victim(StrEnum):
    """What is killed with SIGKILL."""

    ENGINE = "engine"
    ASTERISK = "asterisk"
    POSTGRES = "postgres"
    REDIS = "redis"


class Moment(StrEnum):
    """When: at a step of some call, or whenever."""

    COMMITTED = "committed"  # a row is there, nothing may be on the wire yet
    ORIGINATING = "originating"  # Asterisk has it, the customer's telephone does not ring yet
    RINGING = "ringing"
    ANSWERED = "answered"  # the dialplan asks, nobody is bridged yet
    BRIDGED = "bridged"
    HELD = "held"
    HANG_UP = "hang_up"
    WRAP_UP = "wrap_up"
    RANDOM = "random"


VICTIMS = {Victim.ENGINE: 4, Victim.ASTERISK: 2, Victim.POSTGRES: 3, Victim.REDIS: 1}
MOMENTS = {
    Moment.COMMITTED: 2,
    Moment.ORIGINATING: 2,
    Moment.RINGING: 1,
    Moment.ANSWERED: 3,
    Moment.BRIDGED: 2,
    Moment.HELD: 1,
    Moment.HANG_UP: 2,
    Moment.WRAP_UP: 1,
    Moment.RANDOM: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill. `delay_s`: from the moment to the kill; `away_s`: how long the victim stays away."""

    number: int
    victim: Victim
    moment: Moment
    delay_s: float
    away_s: float


def plan(kills: int, seed: int) -> list[Kill]:
    """The kills of a run. Every victim meets every moment before anything is drawn a second time."""
    random = Random(seed)
    pairs = [(victim, moment) for victim in Victim for moment in Moment]
    random.shuffle(pairs)
    while len(pairs) < kills:
        pairs.append(
            (
                random.choices(list(VICTIMS), list(VICTIMS.values()))[0],
                random.choices(list(MOMENTS), list(MOMENTS.values()))[0],
            )
        )
    return [
        Kill(
            number=number,
            victim=victim,
            moment=moment,
            delay_s=_delay_s(random, moment),
            away_s=random.choices((0.0, 0.3, 1.0), (5, 3, 2))[0],
        )
        for number, (victim, moment) in enumerate(pairs[:kills], start=1)
    ]


def _delay_s(random: Random, moment: Moment) -> float:
    """At a step: within a few milliseconds of it; otherwise whenever within a second and a half."""
    return (
        random.uniform(0.0, 1.5) if moment is Moment.RANDOM else random.choice((0.0, 0.0, 0.002, 0.01, 0.05))
    )  # a seeded Random of ours
