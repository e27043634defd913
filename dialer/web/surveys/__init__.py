"""Surveys: what agentless calls say and ask, and what came of it."""
