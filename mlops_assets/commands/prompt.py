"""`mlops prompt register|list|show|evaluate`: prompts of an application, template and settings together."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_assets.commands import release_views as views
from mlops_assets.commands.errors import sentences
from mlops_assets.commands.release import EXIT, FAILED

if TYPE_CHECKING:
    from mlops_assets.release.targets import ReleaseTarget
    from resources.all import Resources
    from resources.tracking.prompts import Prompt
    from workloads.sdk.contract.applications import Application

App = Annotated[str, typer.Argument(help="The application, for example rag.", show_default=False)]
File = Annotated[Path | None, typer.Option("--file", help="File of the template; default: that of the newest prompt.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, over those of the newest prompt. Repeatable."),
]
Number = Annotated[int | None, typer.Option("--version", min=1, help="Number of the prompt; default: the newest.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
LONGEST = 200_000  # bytes of a template's file


def register(app: typer.Typer) -> None:
    """Add `mlops prompt` to the root application."""
    prompt = typer.Typer(no_args_is_help=True, help="Prompts of an application: template and settings together.")
    prompt.command("register")(sentences(register_, FAILED))
    prompt.command("list")(sentences(list_, FAILED))
    prompt.command("show")(sentences(show, FAILED))
    prompt.command("evaluate")(sentences(evaluate, FAILED))
    app.add_typer(prompt, name="prompt", rich_help_panel="Releases")


def register_(
    app: App,
    why: Annotated[str, typer.Option("--why", help="What is new in it; kept in the registry.", show_default=False)],
    file: File = None,
    values: Set = None,
    as_json: AsJson = False,
) -> None:
    """Register a prompt; equal content has one number. Nothing is judged or released by it."""
    from mlops_assets.release import prompts

    application, target, resources = _open(app)
    template, settings = _content(application, target, resources, file, values)
    number = prompts.register(application, template, settings, why, resources)
    address = resources.tracking.registry.url(target.name, number)
    facts = {"thing": target.name, "number": number, "url": address}
    said = f"{target.name} {number} is registered: {address}\nmlops prompt evaluate {app} --version {number}"
    views.show(facts, as_json, lambda: said)


def list_(app: App, as_json: AsJson = False) -> None:
    """The registered prompts, newest first, with the aliases that point at them."""

    _, target, resources = _open(app)
    found = resources.tracking.prompts.list(target.name)
    views.show([_facts(each) for each in found], as_json, lambda: _table(found, target.name))


def show(app: App, version: Number = None, as_json: AsJson = False) -> None:
    """A registered prompt: its settings and its template."""
    _, target, resources = _open(app)
    found = _registered(target, resources, version)
    views.show(_facts(found) | {"template": found.template}, as_json, lambda: _whole(found))


def evaluate(
    app: App,
    version: Number = None,
    file: File = None,
    values: Set = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge and show the report; nothing is registered or written down.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a prompt beside what is released, on the newest questions. The exit code is the verdict, as of `gate`.

    A registered one (the newest, or --version), whose report is kept; or with --dry-run also one that is not
    registered: another template (--file), other settings (--set).
    """
    if (file or values) and not dry_run:
        raise typer.BadParameter("register what is to be kept (`mlops prompt register`), or add --dry-run")
    from mlops_assets.assets.components import candidate_of
    from mlops_assets.gates.application import ComponentEvaluator
    from mlops_assets.gates.evaluators import releasing
    from mlops_assets.release.prompts import usable

    application, target, resources = _open(app)
    if dry_run:
        template, settings = _content(application, target, resources, file, values, version)
        evaluator = ComponentEvaluator(application, target.role, resources)
        report = evaluator.try_out(usable(application, template, settings))
        name = f"{target.name} (dry run: nothing was written)"
    else:
        candidate = candidate_of(target, resources, number=version)
        report = releasing(target, resources).report(candidate)
        name = f"{target.name} {candidate.number}"
    views.show(report.model_dump(mode="json"), as_json, lambda: views.report(report, name))
    raise typer.Exit(EXIT[report.verdict])


# --- what these share -----------------------------------------------------------------------------------------------


def _open(app: str) -> "tuple[Application, ReleaseTarget, Resources]":
    from mlops_assets.release.mechanism import CannotRelease
    from mlops_assets.release.targets import targets_of
    from resources.all import Resources
    from resources.settings import settings
    from workloads.sdk.contract.applications import Application
    from workloads.sdk.contract.loading import load

    found = {one.name: one for one in load(settings().workloads) if isinstance(one, Application)}
    if app not in found:
        raise CannotRelease(f"there is no application {app!r}; there are {', '.join(found) or 'none'}")
    target = next(each for each in targets_of(found[app]) if each.role == "prompt")
    return found[app], target, Resources(settings())


def _registered(target: "ReleaseTarget", resources: "Resources", version: int | None) -> "Prompt":
    from mlops_assets.release.mechanism import CannotRelease
    from resources.tracking import NoSuchVersion

    prompts = resources.tracking.prompts
    found = prompts.list(target.name)
    if not found:
        raise CannotRelease(f"no prompt of {target.declared.name} is registered yet: `mlops prompt register` does")
    try:
        return next(each for each in found if version in (None, each.number))
    except StopIteration:
        raise NoSuchVersion(f"{target.name} has no version {version}; the newest is {found[0].number}") from None


def _content(
    application: "Application",
    target: "ReleaseTarget",
    resources: "Resources",
    file: Path | None,
    values: list[str] | None,
    version: int | None = None,
) -> tuple[str, dict[str, Any]]:
    """Template and settings: what is given, over those of a registered prompt, over the declaration's."""
    from mlops_assets.release.mechanism import CannotRelease
    from mlops_assets.release.prompts import first

    settings: dict[str, Any] = {}
    if version or resources.tracking.prompts.latest(target.name):
        base = _registered(target, resources, version)
        template, settings = base.template, dict(base.settings)
    else:
        template = first(application)
    if file:
        try:
            if file.stat().st_size > LONGEST:
                raise CannotRelease(f"{file} has more than {LONGEST:,} bytes, which is no prompt")
            template = file.read_text(encoding="utf-8")
        except OSError as error:
            raise CannotRelease(f"{file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise CannotRelease(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    return template, settings | dict(map(_setting, values or []))


def _setting(pair: str) -> tuple[str, Any]:
    """`sentences=3`: a value is JSON where it can be read as that, else it is the text as it stands."""
    from mlops_assets.release.mechanism import CannotRelease

    name, equals, text = pair.partition("=")
    if not equals or not name:
        raise CannotRelease(f"--set {pair} has no value; write --set {name or 'name'}=<value>")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _facts(prompt: "Prompt") -> dict[str, Any]:
    return {
        "number": prompt.number,
        "digest": prompt.digest,
        "aliases": list(prompt.aliases),
        "why": prompt.why,
        "settings": dict(prompt.settings),
    }


def _table(found: "list[Prompt]", target: str) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    if not found:
        return f"nothing is registered as {target} yet"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (target, "digest", "aliases", "why"):
        table.add_column(column, no_wrap=column != "why")
    for each in found:
        aliases = ", ".join(f"@{name}" for name in each.aliases)
        table.add_row(str(each.number), each.digest[:12], aliases, escape(each.why))
    return table


def _whole(prompt: "Prompt") -> str:
    from rich.markup import escape

    head = f"[bold]{prompt.thing} {prompt.number}[/] ({prompt.digest[:12]}): {escape(prompt.why)}"
    settings = "\n".join(f"  {name} = {json.dumps(value)}" for name, value in prompt.settings.items())
    return f"{head}\n{escape(settings)}\n\n{escape(prompt.template)}"
