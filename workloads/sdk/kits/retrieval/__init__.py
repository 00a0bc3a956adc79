"""Passages of a corpus: cutting, embedding, searching."""
