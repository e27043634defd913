"""The life of a project: trial, review, formal run, stop and correct, settlement; who may take which step, and what must be there."""
