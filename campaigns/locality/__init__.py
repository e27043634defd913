"""Locality 归属地: where a number is at home, on whose network, and what time it is there."""
