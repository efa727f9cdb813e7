"""Contracts, judged and compared in a process that can be stopped."""
