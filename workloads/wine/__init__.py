"""Which cultivar a wine is made of."""
