"""Promises of the recorder."""
