"""What is launched together: pipelines, the refresh of predictions, retention; and their schedules."""
