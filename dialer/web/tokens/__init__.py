"""API tokens: for programs that work in a user's name."""
