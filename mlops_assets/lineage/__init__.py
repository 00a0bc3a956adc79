"""Where an answer came from, what a file touched, and what code a target was made by."""
