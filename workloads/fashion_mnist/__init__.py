"""Which kind of clothing a picture shows."""
