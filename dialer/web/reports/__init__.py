"""Sums over calls."""
