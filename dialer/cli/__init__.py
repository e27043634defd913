"""`waihu`: the same rooms as the API, for a terminal. One file for each subject; `command` puts them together.

What is at rest is read and written in the database directly; what is alive (a project that dials, a device that may register) is asked of
the engine through its control port. Exit codes are in docs/operations.md. Nothing is imported here: `waihu serve` must be up at once.
"""
