"""`mlops new`: a new workload's folder, written from templates."""
