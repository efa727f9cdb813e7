"""The machinery of one run: ledger, workspaces, runner processes."""
