"""Kills parts of a running call centre at every step of a call, and looks whether the promises hold."""
