"""The corpus: documentation as Markdown, cut into chunks, embedded and indexed; what the applications answer from."""
