"""Consent to be called."""
