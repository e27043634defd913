"""The agents' desk and the floor's switches: every command of `dialer.domain.commands`."""

from __future__ import annotations

from dialer.engine.desk.desk import Desk

__all__ = ["Desk"]
