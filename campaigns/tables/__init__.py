"""Lists as files: CSV, TSV, xlsx, xls, xlsb and ods in; CSV and xlsx out. What is inside a file decides what it is, never its name."""
