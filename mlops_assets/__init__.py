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
        workloads.sdk.contract.DeclarationError: a declaration is wrong; the message names file and field.
    """
    import gc

    import dagster  # noqa: F401 - only here, for the command line need not load it

    # What a library defines stays for good: the collector need not walk it again and again while the rest loads.
    gc.freeze()
    from mlops_assets.assembly import assemble

    return assemble(workloads)
