"""A workload of the tests: the "model" is one number, which is added to each row's sum. No library is needed."""
