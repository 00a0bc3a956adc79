"""The workload iris."""
