"""Calling rules: packs, windows, strictest wins."""
