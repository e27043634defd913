"""Caller numbers (透传号码): which numbers a project may show, which of them the next call shows, and how a carrier gets it."""
