"""`mlops data`: the registry of datasets on the command line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
import yaml

from mlops_assets.commands.progress import follow, outcome
from mlops_assets.commands.shared import AsJson, add, show
from resources.all import Resources
from resources.registry import DataRegistry
from resources.registry.version import TAG, Bump, DataError, DataVersion, resembles, split_tag, tag_of, version_order
from resources.settings import settings
from workloads.sdk.contract.loading import load

if TYPE_CHECKING:
    import dagster as dg

Folder = Annotated[Path | None, typer.Option("--workloads", help="Folder of workloads, instead of MLOPS_WORKLOADS.")]
DIGESTS = ("digest", "commit", "expected", "actual")  # columns shown by their first digits


def register(app: typer.Typer) -> None:
    """Add `mlops data` to the root."""
    data = typer.Typer(no_args_is_help=True, help="Datasets: a Git repository with DVC, whose tags are the versions.")
    add(data, init, release, list_, verify, sync)
    app.add_typer(data, name="data")


def init(as_json: AsJson = False) -> None:
    """Make the data registry and its DVC remote; a second time nothing changes."""
    registry = DataRegistry(settings())
    made = registry.init()
    where, remote = registry.settings.registry, registry.remote
    said = f"The data registry {'was made' if made else 'is there already'}: {where}"
    said += f"\nIts files: {remote or 'in the DVC remote that the registry names'}"
    show({"made": made, "registry": where, "remote": remote}, as_json, lambda: said)


def release(
    name: Annotated[str, typer.Argument(help="The dataset, for example wine.")],
    bump: Annotated[str, typer.Option(help="Which part of the version is raised: major, minor or patch.")] = "patch",
    source: Annotated[str | None, typer.Option(help="Where the raw files come from; see the dataset.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the pipeline, for this release. Repeatable."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Make the content of an earlier version the newest again.")
    ] = False,
    wait: Annotated[
        bool | None,
        typer.Option(
            "--wait/--no-wait", help="Show what becomes of it, until it is live or why not. Default: in a terminal."
        ),
    ] = None,
    workloads: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Run a dataset's pipeline, and tag what it made; content that a version holds already makes no tag.

    Exits with 1 where it waits, and the version does not become live.
    """
    if bump not in ("major", "minor", "patch"):
        raise typer.BadParameter(f"{bump!r} is none of major, minor, patch", param_hint="--bump")
    found = {workload.data.name: workload for workload in load(workloads or settings().workloads)}
    if (workload := found.get(name.replace("-", "_"))) is None:
        raise DataError(f"no workload has a dataset {name!r}; there are {', '.join(found)}")
    say = (lambda line: None) if as_json else typer.echo
    registry = DataRegistry(settings())
    released = registry.release(workload, cast("Bump", bump), source, _parsed(values or []), say, again)
    version, runs = released.version, _dagster_runs()
    document = {"created": released.created, **_row(version), "metadata": dict(version.metadata)}
    if not released.created or not (runs if wait is None and sys.stdout.isatty() and not as_json else wait):
        told = _trigger_tick() if released.created else ""
        show(document, as_json, lambda: "\n".join(filter(None, [str(released), told])))
        return
    if not runs:
        raise DataError(f"{released}; nothing comes of it yet, since Dagster's daemon does not run: `mlops up`")
    say(str(released))
    resources = Resources(settings())
    with _instance() as instance:
        run = follow(workload, version.version, resources, instance, say)
        came = outcome(workload, version.version, run, resources, instance)
    show({**document, "outcome": came}, as_json, lambda: came)


def list_(
    name: Annotated[str | None, typer.Argument(help="One dataset; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """The versions of the datasets, with source, rows and digest."""
    registry = DataRegistry(settings())
    every, wanted = registry.all_tags(), name.replace("-", "_") if name else None
    named = {tag: match[1] for tag in every if (match := TAG.fullmatch(tag)) and wanted in (None, match[1])}
    versions, broken = registry.read({tag: every[tag] for tag in named})
    for line in broken.values():
        typer.echo(line, err=True)
    for tag in every:
        if any(resembles(tag, dataset) for dataset in {*named.values(), *([wanted] if wanted else [])}):
            typer.echo(f"{tag} is no data tag, and is passed over; one is written {tag_of('wine', '1.2.0')}", err=True)
    rows = [_row(version) for version in versions]
    none = "no version yet; `mlops data release <name>` makes one"
    show(rows, as_json, lambda: _table(("tag", "source", "rows", "digest", "commit"), rows) if rows else none)


def verify(
    tag: Annotated[str, typer.Argument(help="A data tag, for example wine-v1.0.0.")],
    as_json: AsJson = False,
) -> None:
    """Compute the digests of a version's files again. Exits with 1 where one is not what the tag recorded."""
    checks = DataRegistry(settings()).verify(*split_tag(tag))
    rows = [{**asdict(check), "intact": check.intact} for check in checks]
    states = ["intact" if check.intact else "CHANGED" if check.actual else "GONE" for check in checks]
    shown = [{**row, "state": state} for row, state in zip(rows, states, strict=True)]
    show(rows, as_json, lambda: _table(("path", "state", "expected", "actual"), shown))
    if not all(check.intact for check in checks):
        raise typer.Exit(1)


def sync(workloads: Folder = None, as_json: AsJson = False) -> None:
    """Register all data tags with Dagster as partitions, where no sensor runs (CI)."""
    from mlops_assets.assets.partitions import partitions_name

    added = {}
    with _instance() as instance:
        tags = [split_tag(tag) for tag in DataRegistry(settings()).tags()]
        for workload in load(workloads or settings().workloads):
            partitions = partitions_name(workload.name)
            there = set(instance.get_dynamic_partitions(partitions))
            mine = (version for name, version in tags if name == workload.data.name)
            new = sorted(set(mine) - there, key=version_order)
            if new:
                instance.add_dynamic_partitions(partitions, new)
            added[workload.name] = new
    show(added, as_json, lambda: "\n".join(f"{name}: {', '.join(new) or 'nothing new'}" for name, new in added.items()))


def _parsed(values: list[str]) -> dict[str, Any]:
    """`key=value` pairs, values as YAML reads them: `rows=100`, `corruption=0.6`, `rows=null`."""
    pairs = [value.partition("=") for value in values]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise DataError(f"--set {bad[0]} has no value; write --set {bad[0]}=<value>")
    return {key.strip(): yaml.safe_load(value) for key, _, value in pairs}


@contextmanager
def _instance() -> "Iterator[dg.DagsterInstance]":
    """Dagster's instance: that of `$DAGSTER_HOME`, else the platform's own."""
    import dagster as dg
    from dagster._core.errors import DagsterHomeNotSetError

    from resources.embedded.code_servers import prepare_home

    try:
        found = dg.DagsterInstance.get()
    except DagsterHomeNotSetError:  # also where Dagster never ran here: CI starts neither webserver nor daemon
        found = dg.DagsterInstance.from_config(str(prepare_home(settings())))
    with found as instance:
        yield instance


def _dagster_runs() -> bool:
    """Whether a daemon of this home looks for new tags."""
    from resources.embedded.dagster import DagsterDaemon, dev

    return DagsterDaemon(settings()).running() or dev(settings()).process() is not None


def _trigger_tick() -> str:
    """Have the data_tags sensor look now. It looks by itself at its next tick, so nothing here may fail a release."""
    if not (settings().home / "dagster" / "dagster.yaml").exists():
        return ""
    try:
        from sensors.tick import trigger_tick

        with _instance() as instance:
            trigger_tick(instance, "data_tags")
        return "the data_tags sensor was told"
    except Exception as error:
        return f"the data_tags sensor was not told ({type(error).__name__}); it sees the tag when it next looks"


def _row(version: DataVersion) -> dict[str, Any]:
    names = ("tag", "name", "version", "source", "rows", "digest", "commit")
    return {name: getattr(version, name) for name in names}


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    lines = [columns]
    lines += [tuple((row[c] or "")[:16] if c in DIGESTS else str(row[c]) for c in columns) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)
