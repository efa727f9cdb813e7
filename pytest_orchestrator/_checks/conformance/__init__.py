"""Whether a running service keeps to what it has published, asked by generated requests."""
