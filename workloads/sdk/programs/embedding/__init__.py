"""Embedding a corpus: documents into chunks, chunks into vectors, vectors into a table with its indexes."""
