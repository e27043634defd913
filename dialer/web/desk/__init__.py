"""The agent's desk: what an agent does all day."""
