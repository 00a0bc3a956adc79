"""The parts of the data registry's door: Git, the pipelines' files, and DVC's store."""
