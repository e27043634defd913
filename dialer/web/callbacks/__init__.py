"""Callbacks: what was promised to customers, and who keeps it."""
