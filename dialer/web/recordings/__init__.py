"""Recordings: finding them and listening to them."""
