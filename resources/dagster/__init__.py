"""How Dagster itself is wired to the platform: its instance, and its launcher of runs."""
