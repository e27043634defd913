"""A simulated floor: what a mode, a number of agents and a list come to, played event by event with the engine's own policies."""

from __future__ import annotations

from dialer.simulation.day import Day
from dialer.simulation.floor import Floor
from dialer.simulation.world import Steps, World, always

__all__ = ["Day", "Floor", "Steps", "World", "always"]
