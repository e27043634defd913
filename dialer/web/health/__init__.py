"""Whether it works, and measures."""
