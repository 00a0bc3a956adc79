"""Which digit somebody wrote."""
