"""Leads: who is to be called."""
