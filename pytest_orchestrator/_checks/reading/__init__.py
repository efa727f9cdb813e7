"""Reading documents nobody has vouched for: what is more than JSON can say is refused."""
