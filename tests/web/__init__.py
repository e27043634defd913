"""The HTTP API and the live feed, over real HTTP, on a real PostgreSQL and Redis."""
