"""What happens to sound: legs in, one stereo master out, with a ledger row for every answered call.

Imports nothing of the application; it is given a PostgreSQL pool, its directories and a clock.
"""
