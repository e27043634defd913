"""The faults of recordings at their full counts: `make chaos-recorder`. The small forms are the tests beside it."""
