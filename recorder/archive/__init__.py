"""Volumes and discs: what a volume holds, how it is built, burned, read again, kept account of, and read without us.

media, states, planner and sampling are pure. Nothing here removes a file from the store: that is `recorder.removals`.
"""
