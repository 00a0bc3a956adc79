"""The services that `mlops up` runs on a laptop, one module each."""
