"""Whether two documents say the same, however they are written."""
