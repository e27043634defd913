"""Trunks to carriers, and the nodes they hang on."""
