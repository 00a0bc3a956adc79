"""The platform's own code location: the workloads of this repository."""

from mlops_assets import build
from resources.settings import REPOSITORY

defs = build(REPOSITORY / "workloads")
