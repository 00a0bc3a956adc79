"""Names that a platform's workloads and datasets have already, in whatever code location of it."""

from collections.abc import Iterator
from pathlib import Path

from resources.embedded.code_servers import WORKSPACE
from resources.settings import REPOSITORY, settings
from workloads.sdk.contract import DeclarationError
from workloads.sdk.contract.loading import declared_of, load


def holder(name: str, folder: Path) -> Path | None:
    """The folder of the workload that a new one in `folder` would share its name with, or its dataset's; else None."""
    for package in dict.fromkeys(path.resolve() for path in _packages()):
        for each in sorted(package.glob("*/workload.py")):
            if package != folder.resolve() and name in {each.parent.name, _dataset(each.parent)}:
                return each.parent
    return None


def _packages() -> Iterator[Path]:
    """The folders of workloads that the platform knows: its own, the command line's, those of workspace.yaml."""
    yield REPOSITORY / "workloads"
    yield settings().workloads
    for file in _definitions(WORKSPACE):
        yield from {workload.parent.parent for workload in file.parent.glob("*/*/workload.py")}


def _definitions(workspace: Path) -> Iterator[Path]:
    """The files that a workspace loads."""
    import yaml

    known = yaml.safe_load(workspace.read_text()) if workspace.is_file() else {}
    for each in (known or {}).get("load_from", ()):
        location = each.get("python_file", "")
        name = location.get("relative_path", "") if isinstance(location, dict) else location
        if name:
            yield workspace.parent / name


def _dataset(folder: Path) -> str | None:
    """The name of a workload's dataset; None where its declaration does not load."""
    try:
        load(folder.parent)
        return declared_of(f"{folder.parent.name}.{folder.name}").data.name
    except (DeclarationError, ModuleNotFoundError):
        return None
