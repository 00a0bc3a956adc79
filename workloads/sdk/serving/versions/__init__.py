"""Which versions a replica serves: the plan, those that may be asked for by name, loading and checking them."""
