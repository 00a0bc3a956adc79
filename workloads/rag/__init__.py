"""Questions answered from the passages of an index, with their sources."""
