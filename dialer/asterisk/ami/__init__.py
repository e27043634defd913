"""AMI: `protocol` and `pending` without I/O, `connection` and `client` on asyncio, `actions` and `events` as types."""
