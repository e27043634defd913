"""The heart of the dialer: decides what is dialled and who gets it, and keeps what happened.

`Engine` is the whole of it; everything below is a part with one subject.
"""

from __future__ import annotations

from dialer.engine.config import EngineConfig
from dialer.engine.run import Engine

__all__ = ["Engine", "EngineConfig"]
