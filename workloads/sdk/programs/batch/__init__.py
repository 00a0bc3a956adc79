"""Batch predictions: a dataset's splits, scored by a model through Ray Data, into Parquet."""
