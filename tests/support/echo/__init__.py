"""A workload for the tests of gates and releases: answers each number with itself, but for those it has wrong."""
