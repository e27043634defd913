"""Calls that were made or are being made."""
