"""Which library a docstring is of."""
