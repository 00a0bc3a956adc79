"""What callers meet: routes, validation, answers, OpenAPI."""
