"""The life of a project: steps, sign-offs, frozen figures."""
