"""Never read, since it is no document."""
