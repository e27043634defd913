"""The composition root: builds the rooms of a program out of the settings, starts them in order and stops them in order."""

from __future__ import annotations
