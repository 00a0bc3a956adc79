"""The asset graph: datasets, models, releases and endpoints, derived from declared workloads.

Another repository's workloads become a code location of their own with two lines:

    from mlops_assets import build
    defs = build(Path(__file__).parent / "my_workloads")
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg


def build(workloads: Path) -> "dg.Definitions":
    """The definitions (assets, checks, jobs, schedules, sensors) of a folder of workloads.

    Raises:
        workloads.contract.DeclarationError: a declaration is wrong; the message names file and field.
    """
    from mlops_assets.assembly import assemble  # imports dagster, which the command line need not

    return assemble(workloads)
