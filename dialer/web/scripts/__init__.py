"""Scripts: what agents say and ask, in versions, and what came of them."""
