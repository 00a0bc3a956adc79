"""`mlops data`: the registry of datasets on the command line."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mlops_assets.commands.errors import sentences

if TYPE_CHECKING:
    import dagster as dg

    from resources.registry import DataRegistry
    from resources.registry.version import Bump, DataVersion, ReleasedData
    from workloads.sdk.contract import Declared

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Folder = Annotated[Path | None, typer.Option("--workloads", help="Folder of workloads, instead of MLOPS_WORKLOADS.")]
DIGESTS = ("digest", "commit", "expected", "actual")  # columns shown by their first digits
TriggerTick = Callable[["ReleasedData"], str]


def register(app: typer.Typer, trigger_tick: TriggerTick | None = None) -> None:
    """Add `mlops data` to the root; `poke` tells the platform of a new version, and answers with a line to show."""
    data = typer.Typer(no_args_is_help=True, help="Datasets: a Git repository with DVC, whose tags are the versions.")
    data.command("init")(sentences(init))
    data.command("release")(sentences(_release_command(trigger_tick or _trigger_tick)))
    data.command("list")(sentences(list_))
    data.command("verify")(sentences(verify))
    data.command("sync")(sentences(sync))
    app.add_typer(data, name="data")


def init(as_json: Json = False) -> None:
    """Make the data registry and its DVC remote; a second time nothing changes."""
    registry = _registry()
    made = registry.init()
    where, remote = registry.settings.registry, registry.remote
    said = f"The data registry {'was made' if made else 'is there already'}: {where}"
    said += f"\nIts files: {remote or 'in the DVC remote that the registry names'}"
    _answer(as_json, {"made": made, "registry": where, "remote": remote}, said)


def _release_command(trigger_tick: TriggerTick) -> Callable[..., None]:
    def release(
        name: Annotated[str, typer.Argument(help="The dataset, for example wine.")],
        bump: Annotated[
            str, typer.Option(help="Which part of the version is raised: major, minor or patch.")
        ] = "patch",
        source: Annotated[str | None, typer.Option(help="Where the raw files come from; see the dataset.")] = None,
        values: Annotated[
            list[str] | None,
            typer.Option(
                "--set", metavar="KEY=VALUE", help="A parameter of the pipeline, for this release. Repeatable."
            ),
        ] = None,
        again: Annotated[
            bool, typer.Option("--again", help="Make the content of an earlier version the newest again.")
        ] = False,
        workloads: Folder = None,
        as_json: Json = False,
    ) -> None:
        """Run a dataset's pipeline, and tag what it made; content that a version holds already makes no tag."""
        say = (lambda line: None) if as_json else typer.echo
        if bump not in ("major", "minor", "patch"):
            raise typer.BadParameter(f"{bump!r} is none of major, minor, patch", param_hint="--bump")
        workload = _workload(name, workloads)
        released = _registry().release(workload, cast("Bump", bump), source, _parsed(values or []), say, again)
        told = trigger_tick(released) if released.created else ""
        version = released.version
        document = {"created": released.created, **_row(version), "metadata": dict(version.metadata)}
        _answer(as_json, document, "\n".join(filter(None, [str(released), told])))

    return release


def list_(
    name: Annotated[str | None, typer.Argument(help="One dataset; all by default.")] = None,
    as_json: Json = False,
) -> None:
    """The versions of the datasets, with source, rows and digest."""
    registry = _registry()
    versions, broken = registry.read(registry.tags(name.replace("-", "_") if name else None))
    for line in broken.values():
        typer.echo(line, err=True)
    rows = [_row(version) for version in versions]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif not rows:
        typer.echo("no version yet; `mlops data release <name>` makes one")
    else:
        _table(("tag", "source", "rows", "digest", "commit"), rows)


def verify(
    tag: Annotated[str, typer.Argument(help="A data tag, for example wine-v1.0.0.")],
    as_json: Json = False,
) -> None:
    """Compute the digests of a version's files again. Exits with 1 where one is not what the tag recorded."""
    from resources.registry.version import split_tag

    checks = _registry().verify(*split_tag(tag))
    rows = [{**asdict(check), "intact": check.intact} for check in checks]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        state = {True: "intact", False: "CHANGED"}
        shown = [{**row, "state": state[row["intact"]] if row["actual"] else "GONE"} for row in rows]
        _table(("path", "state", "expected", "actual"), shown)
    if not all(check.intact for check in checks):
        raise typer.Exit(1)


def sync(workloads: Folder = None, as_json: Json = False) -> None:
    """Register all data tags with Dagster as partitions, where no sensor runs (CI)."""
    from mlops_assets.assets.partitions import partitions_name
    from resources.registry.version import split_tag, version_order

    registry, added = _registry(), {}
    with _instance(registry) as instance:
        tags = [split_tag(tag) for tag in registry.tags()]
        for workload in _workloads(workloads):
            partitions = partitions_name(workload.name)
            there = set(instance.get_dynamic_partitions(partitions))
            mine = (version for name, version in tags if name == workload.data.name)
            new = sorted(set(mine) - there, key=version_order)
            if new:
                instance.add_dynamic_partitions(partitions, new)
            added[workload.name] = new
    lines = [f"{name}: {', '.join(new) if new else 'nothing new'}" for name, new in added.items()]
    _answer(as_json, added, "\n".join(lines))


def _registry() -> "DataRegistry":
    from resources.registry import DataRegistry
    from resources.settings import settings

    return DataRegistry(settings())


def _workloads(folder: Path | None) -> "list[Declared]":
    from resources.settings import settings
    from workloads.sdk.contract.loading import load

    return load(folder or settings().workloads)


def _workload(name: str, folder: Path | None) -> "Declared":
    from resources.registry.version import DataError

    found = {workload.data.name: workload for workload in _workloads(folder)}
    if (workload := found.get(name.replace("-", "_"))) is None:
        raise DataError(f"no workload has a dataset {name!r}; there are {', '.join(found)}")
    return workload


def _parsed(values: list[str]) -> dict[str, Any]:
    """`key=value` pairs, values as YAML reads them: `rows=100`, `corruption=0.6`, `rows=null`."""
    import yaml

    from resources.registry.version import DataError

    pairs = [value.partition("=") for value in values]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise DataError(f"--set {bad[0]} has no value; write --set {bad[0]}=<value>")
    return {key.strip(): yaml.safe_load(value) for key, _, value in pairs}


@contextmanager
def _instance(registry: "DataRegistry") -> "Iterator[dg.DagsterInstance]":
    """Dagster's instance: that of `$DAGSTER_HOME`, else the platform's own."""
    import dagster as dg
    from dagster._core.errors import DagsterHomeNotSetError

    from resources.embedded.code_servers import prepare_home

    try:
        found = dg.DagsterInstance.get()
    except DagsterHomeNotSetError:  # also where Dagster never ran here: CI starts neither webserver nor daemon
        found = dg.DagsterInstance.from_config(str(prepare_home(registry.settings)))
    with found as instance:
        yield instance


def _trigger_tick(released: "ReleasedData") -> str:
    """Have the data_tags sensor look now. It looks by itself at its next tick, so nothing here may fail a release."""
    from importlib.util import find_spec

    registry = _registry()
    if find_spec("sensors.tick") and (registry.settings.home / "dagster" / "dagster.yaml").exists():
        from sensors.tick import trigger_tick

        try:
            with _instance(registry) as instance:
                trigger_tick(instance, "data_tags")
            return "the data_tags sensor was told"
        except Exception as error:
            return f"the data_tags sensor was not told ({type(error).__name__}); it sees the tag when it next looks"
    return ""


def _row(version: "DataVersion") -> dict[str, Any]:
    return {
        "tag": version.tag,
        "name": version.name,
        "version": version.version,
        "source": version.source,
        "rows": version.rows,
        "digest": version.digest,
        "commit": version.commit,
    }


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    lines = [columns]
    lines += [tuple((row[c] or "")[:16] if c in DIGESTS else str(row[c]) for c in columns) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _answer(as_json: bool, document: dict[str, Any], text: str) -> None:
    typer.echo(json.dumps(document, indent=2) if as_json else text)
