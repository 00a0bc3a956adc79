"""Texts: reading, training, serving."""
