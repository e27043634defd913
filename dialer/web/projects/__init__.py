"""Projects: what is dialled, when, how, by whom."""
