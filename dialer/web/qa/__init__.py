"""Recordings pulled for QA."""
