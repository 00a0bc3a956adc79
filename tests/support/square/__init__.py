"""A workload of the tests whose model computes beyond numbers: it squares what it gets."""
