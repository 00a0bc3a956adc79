"""`mlops trace` and `mlops impact`: lineage on the command line."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.tree import Tree

from mlops_assets.commands.shared import WIDE, AsJson, add, show
from resources.all import Resources
from resources.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlops_assets.lineage.trace import Origin, Touched, Trace, TracedFile


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    add(app, trace, impact)


def trace(
    prediction: Annotated[str, typer.Argument(help="The `prediction_id` of an answer.")],
    as_json: AsJson = False,
) -> None:
    """Where a prediction came from, down to the files' digests, computed again.

    Exits with 1 where a file of its data or of the model is not what it was.
    """
    from mlops_assets.lineage import trace as lineage

    found = lineage.trace(prediction, Resources(settings()))
    show(asdict(found), as_json, lambda: trace_tree(found), WIDE)
    if not found.intact:
        raise typer.Exit(1)


def impact(
    key: Annotated[str, typer.Argument(help="A data tag (wine-v1.0.0), a digest or its beginning, or a file.")],
    as_json: AsJson = False,
) -> None:
    """What came of a file or tag: models, releases, endpoints, and how many predictions when."""
    from mlops_assets.lineage import trace as lineage

    found = lineage.impact(key, Resources(settings()))
    show(list(map(asdict, found)), as_json, lambda: Group(*map(_impact, found)), WIDE)


def trace_tree(found: "Trace") -> Tree:
    """A trace, drawn."""
    tree = Tree(f"prediction [bold]{found.prediction['id']}[/] · {found.prediction['at']:%Y-%m-%d %H:%M:%S %Z}")
    plan = f"plan {found.endpoint['plan']}" if found.endpoint["plan"] else "this version was asked for"
    node = tree.add(f"endpoint [bold]{found.endpoint['name']}[/] · {plan}")
    if not found.parts:
        _add(node, found, "model", live=found.endpoint["live"])
    else:
        release = found.release or {"version": found.endpoint["version"], "id": None, "why": ""}
        live = "live" if found.endpoint["live"] else "not live now"
        node = node.add(f"release [bold]{release['version']}[/] ({live}) · {escape(release['why'])}")
        for role, part in found.parts.items():
            _add(node, part, role.replace("_", " "))
    for chunk in found.chunks:
        cited = tree.add(f"cites [bold]{escape(chunk['path'])}[/] · {escape(chunk['heading'])} · chunk {chunk['id']}")
        cited.add(escape(" ".join(chunk["content"].split())[:200]))
    return tree


def _add(node: Tree, found: "Origin", what: str, live: bool | None = None) -> None:
    """Where a candidate came from, below a node."""
    if release := found.release:
        decision = f"{release['action']} by {release['actor']}: {escape(release['why'])}"
        now = "" if live is None else " (live)" if live else " (not live now)"
        node = node.add(f"release [bold]{release['thing']} {release['version']}[/]{now} · {decision}")
    variant = f" · variant {found.model['variant']}" if found.model["variant"] else ""
    never = "" if release else " · never released when it answered"
    node = node.add(f"{what} [bold]{found.model['uri']}[/]{variant} · digest {found.model['digest'][:16]}{never}")
    if found.artifacts and all(file.intact for file in found.artifacts):
        node.add(f"[green]✓[/] its {len(found.artifacts)} files are what was registered")
    _add_files(node, [file for file in found.artifacts if not file.intact])
    for text in found.gone:
        node.add(f"[red]✗[/] {escape(text)}")
    tier = f" · tier {found.run['tier']}" if found.run["tier"] else ""
    node = node.add(f"MLflow run [bold]{found.run['mlflow']}[/] · Dagster run {found.run['dagster']}{tier}")
    dirty = " with uncommitted changes" if found.code["dirty"] else ""
    node.add(f"code commit [bold]{found.code['commit'][:12] or 'not in Git'}[/]{dirty} · digest {found.code['digest']}")
    moved = " · [red]the tag was moved or removed since[/]" if found.data["tag_stands"] is False else ""
    data = node.add(
        f"data tag [bold]{found.data['tag']}[/] · digest {found.data['digest'][:16]} · "
        f"source {found.data['source']}{moved}"
    )
    _add_files(data, found.files)


def _add_files(node: Tree, files: "Iterable[TracedFile]") -> None:
    for file in files:
        if file.intact:
            node.add(f"[green]✓[/] {file.path} · sha256 {file.sha256[:16]}")
        else:
            now = f"is {file.actual[:16]} now" if file.actual else "is not there"
            node.add(f"[red]✗[/] {file.path} · sha256 was {file.sha256[:16]}, [red]{now}[/]")


def _impact(touched: "Touched") -> Tree:
    tree = Tree(f"data tag [bold]{touched.tag}[/] · digest {touched.digest[:16]} · {len(touched.files)} files")
    models = tree.add(f"{len(touched.models)} models")
    for model in touched.models:
        models.add(f"{model['uri']} · digest {model['digest'][:16]} · {model['trained']:%Y-%m-%d %H:%M:%S}")
    releases = tree.add(f"{len(touched.releases)} releases")
    for release in touched.releases:
        releases.add(f"{release['thing']} {release['version']} · since {release['since']:%Y-%m-%d %H:%M:%S}")
    batches = tree.add(f"{len(touched.batches)} batches of predictions")
    for batch in touched.batches:
        batches.add(f"{batch['thing']} on {batch['data']} · {batch['rows']} rows · {batch['uri']}")
    tree.add(f"live on: {', '.join(touched.live) or 'no endpoint'}")
    span = f", {touched.first:%Y-%m-%d %H:%M:%S} to {touched.last:%Y-%m-%d %H:%M:%S}" if touched.first else ""
    tree.add(f"{touched.predictions} predictions{span}")
    return tree
