"""Lists come in: which column is what, what is wrong with a row, what is there already; the good rows become leads, the others go back with reasons."""
