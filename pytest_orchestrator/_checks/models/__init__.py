"""Shared models: a page people read, and the JSON Schema made of it."""
