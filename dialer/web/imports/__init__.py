"""Imports of leads from files."""
