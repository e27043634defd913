"""Caller numbers: the allow-list of what may be shown to those who are called."""
