"""How long a recording has to be kept, and when it has to go. Pure: no clock, no driver, no files; facts come in, a verdict comes out."""
