"""Machine learning, and nothing else: no Dagster, no MLflow server, no Kubernetes.

One folder per workload, each with a declaration in `workload.py`. `contract.py` is the only interface to the rest.
"""
