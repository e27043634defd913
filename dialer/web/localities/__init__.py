"""Where numbers are at home: prefix tables and their use."""
