"""Which species a flower is of."""
