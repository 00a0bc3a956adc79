"""What is written of answered requests: predictions, sessions, feedback."""
