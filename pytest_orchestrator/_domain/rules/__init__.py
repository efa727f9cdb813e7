"""What a runbook has to fulfil, one module per kind of rule."""
