"""Devices: the softphones and browser phones agents register with."""
