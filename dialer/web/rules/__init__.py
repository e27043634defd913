"""Calling rules: packs, and which of them a project has chosen."""
