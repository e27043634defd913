"""How a project is paced."""
