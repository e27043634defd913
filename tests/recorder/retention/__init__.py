"""Promises of retention."""
