"""The server of endpoints: replicas that follow the plan, versions, requests over HTTP, the log of predictions."""
