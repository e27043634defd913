"""Agents (座席): the people who take the calls."""
