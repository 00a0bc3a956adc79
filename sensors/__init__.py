"""What the platform looks for by itself: new tags of data, and aliases, ledger and plan that differ."""
