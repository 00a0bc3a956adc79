"""Rows of a table: reading, training, serving."""
