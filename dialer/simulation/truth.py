"""The bound: the same policy, told the true distributions of the world instead of learning them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialer.domain.pacing import Observation
from dialer.domain.pacing.beliefs import (
    RING_BIN_S,
    RING_BINS,
    TALK_BIN_S,
    TALK_BINS,
    WRAP_UP_BIN_S,
    WRAP_UP_BINS,
    Beliefs,
    Running,
)
from dialer.domain.pacing.lifetable import Array
from dialer.domain.pacing.profile import Context
from dialer.simulation.durations import Duration
from dialer.simulation.world import World


class Told:
    """Knows the world as it is at each moment."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._told: tuple[float, float] | None = None

    def move(self, context: Context) -> None:
        """Nothing to learn."""

    def observe(self, observation: Observation) -> None:
        """Nothing to learn."""

    def enough(self, agents: int) -> bool:  # noqa: ARG002 - the interface of knowledge
        """Always."""
        return True

    def pass_time(self, ringing: Array, seconds: float) -> None:
        """Nothing to learn."""

    def stale(self, at_s: float) -> bool:
        """The world changed."""
        return self._told != self._state(at_s)

    def beliefs(self, at_s: float, running: Running) -> Beliefs:  # noqa: ARG002 - the interface of knowledge
        """The truth."""
        self._told = self._state(at_s)
        world, (answer, talk_factor) = self._world, self._told
        edges = np.arange(RING_BINS + 1) * RING_BIN_S
        ring = answer * _shares(world.ring, edges)
        failed = world.quick_failure * _shares(world.quick_failure_s, edges)
        failed[int(world.ring_timeout_s)] += 1 - answer - world.quick_failure
        entered = np.maximum(1 - np.concatenate(([0.0], np.cumsum(ring + failed)[:-1])), 1e-9)
        return Beliefs(
            answered=ring / entered,
            failed=failed / entered,
            talk_ended=_chances(world.talk, np.arange(TALK_BINS + 1) * TALK_BIN_S / talk_factor),
            wrap_up_ended=_chances(world.wrap_up, np.arange(WRAP_UP_BINS + 1) * WRAP_UP_BIN_S),
            human_share=1 - world.machines,
            detection_s=world.detection_s if world.machines else 0.0,
        )

    def to_state(self) -> dict[str, Any]:
        """Nothing was learned."""
        return {}

    def restore(self, state: dict[str, Any], trust: float = 1.0) -> None:
        """Nothing to take over."""

    def _state(self, at_s: float) -> tuple[float, float]:
        world = self._world
        return world.answer.at(at_s) * sum(world.quality) / len(world.quality), world.talk_factor.at(at_s)


def _shares(duration: Duration, edges: NDArray[np.floating[Any]]) -> Array:
    within = np.array([duration.share_within(float(edge)) for edge in edges])
    found: Array = np.diff(within)
    return found


def _chances(duration: Duration, edges: NDArray[np.floating[Any]]) -> Array:
    within = np.array([duration.share_within(float(edge)) for edge in edges])
    found: Array = np.diff(within) / np.maximum(1 - within[:-1], 1e-6)
    return found
