"""Retention: policies, business dates, legal holds, what would go and what went."""
