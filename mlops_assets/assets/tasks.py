"""What jobs of all kinds are asked for, and the pool that keeps them apart."""

from collections.abc import Iterable
from typing import Any

from resources.all import Resources
from resources.registry.version import DataVersion
from workloads.sdk.contract import TIERS, Declared
from workloads.sdk.programs.spec import InputFile

POOL = "training"  # one training at a time on a small machine: see docs/architecture.md


def common(
    declared: Declared, data: DataVersion, code: str, tier: str, resources: Resources, splits: Iterable[str] = ()
) -> dict[str, Any]:
    """The fields of `Task`: these splits of a data version (all, if none is named), worked on by code on a tier."""
    files = resources.registry.local(data)
    digests = {file.split: file.sha256 for file in data.files if file.split}
    return {
        "package": declared.package,
        "data": {split: InputFile(path=files[split], sha256=digests[split]) for split in splits or files},
        "data_version": data.version,
        "data_digest": data.digest,
        "code_version": code,
        "tier": TIERS[tier],
    }
