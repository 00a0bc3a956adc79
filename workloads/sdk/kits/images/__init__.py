"""Small grey pictures: reading."""
