"""The commands of `mlops`, a module for each room; each has `register(app)`."""
