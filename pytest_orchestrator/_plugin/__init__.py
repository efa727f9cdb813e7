"""What a pytest session with a runbook is made of."""
