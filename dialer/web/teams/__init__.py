"""Teams and assignment: who works on what."""
