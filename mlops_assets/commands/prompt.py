"""`mlops prompt register|list|show|evaluate`: prompts of an application, template and settings together."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mlops_assets.commands import release_views as views
from mlops_assets.commands.release import EXIT, FAILED
from mlops_assets.commands.shared import AsJson, add, show
from mlops_assets.release import prompts
from mlops_assets.release.mechanism import CannotRelease
from resources.all import Resources
from resources.settings import settings
from resources.tracking import Gone
from resources.tracking.prompts import Prompt
from workloads.sdk.contract.applications import Application
from workloads.sdk.contract.loading import load

if TYPE_CHECKING:
    from mlops_assets.release.targets import ReleaseTarget

App = Annotated[str, typer.Argument(help="The application, for example rag.", show_default=False)]
File = Annotated[Path | None, typer.Option("--file", help="File of the template; default: that of the newest prompt.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, over those of the newest prompt. Repeatable."),
]
Number = Annotated[int | None, typer.Option("--version", min=1, help="Number of the prompt; default: the newest.")]
LONGEST = 200_000  # bytes of a template's file


def register(app: typer.Typer) -> None:
    """Add `mlops prompt` to the root application."""
    prompt = typer.Typer(no_args_is_help=True, help="Prompts of an application: template and settings together.")
    add(prompt, register_, list_, show_, evaluate, failed=FAILED)
    app.add_typer(prompt, name="prompt", rich_help_panel="Releases")


def register_(
    app: App,
    why: Annotated[str, typer.Option("--why", help="What is new in it; kept in the registry.", show_default=False)],
    file: File = None,
    values: Set = None,
    as_json: AsJson = False,
) -> None:
    """Register a prompt; equal content has one number. Nothing is judged or released by it."""
    application, target, resources = _open(app)
    template, chosen = _content(application, target, resources, file, values)
    number = prompts.register(application, template, chosen, why, resources)
    address = resources.tracking.registry.url(target.name, number)
    facts = {"thing": target.name, "number": number, "url": address}
    said = f"{target.name} {number} is registered: {address}\nmlops prompt evaluate {app} --version {number}"
    show(facts, as_json, lambda: said)


def list_(app: App, as_json: AsJson = False) -> None:
    """The registered prompts, newest first, with the aliases that point at them."""
    _, target, resources = _open(app)
    found = resources.tracking.prompts.list(target.name)
    show(list(map(_facts, found)), as_json, lambda: _table(found, target.name))


def show_(app: App, version: Number = None, as_json: AsJson = False) -> None:
    """A registered prompt: its settings and its template."""
    _, target, resources = _open(app)
    found = _registered(target, resources, version)
    show(_facts(found) | {"template": found.template}, as_json, lambda: _whole(found))


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

    application, target, resources = _open(app)
    if dry_run:
        template, chosen = _content(application, target, resources, file, values, version)
        evaluator = ComponentEvaluator(application, target.role, resources)
        report = evaluator.try_out(prompts.usable(application, template, chosen))
        name = f"{target.name} (dry run: nothing was written)"
    else:
        candidate = candidate_of(target, resources, number=version)
        report = releasing(target, resources).report(candidate)
        name = f"{target.name} {candidate.number}"
    show(report.model_dump(mode="json"), as_json, lambda: views.report(report, name))
    raise typer.Exit(EXIT[report.verdict])


def _open(app: str) -> "tuple[Application, ReleaseTarget, Resources]":
    from mlops_assets.release.targets import targets_of

    found = {one.name: one for one in load(settings().workloads) if isinstance(one, Application)}
    if app not in found:
        raise CannotRelease(f"there is no application {app!r}; there are {', '.join(found) or 'none'}")
    target = next(each for each in targets_of(found[app]) if each.role == "prompt")
    return found[app], target, Resources(settings())


def _registered(target: "ReleaseTarget", resources: Resources, version: int | None) -> Prompt:
    found = resources.tracking.prompts.list(target.name)
    if not found:
        raise CannotRelease(f"no prompt of {target.declared.name} is registered yet: `mlops prompt register` does")
    for prompt in found:
        if version in (None, prompt.number):
            return prompt
    raise Gone(f"{target.name} has no version {version}; the newest is {found[0].number}")


def _content(
    application: Application,
    target: "ReleaseTarget",
    resources: Resources,
    file: Path | None,
    values: list[str] | None,
    version: int | None = None,
) -> tuple[str, dict[str, Any]]:
    """Template and settings: what is given, over those of a registered prompt, over the declaration's."""
    if version or resources.tracking.prompts.latest(target.name):
        base = _registered(target, resources, version)
        template, chosen = base.template, dict(base.settings)
    else:
        template, chosen = prompts.first(application), {}
    if file:
        try:
            if file.stat().st_size > LONGEST:
                raise CannotRelease(f"{file} has more than {LONGEST:,} bytes, which is no prompt")
            template = file.read_text(encoding="utf-8")
        except OSError as error:
            raise CannotRelease(f"{file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise CannotRelease(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    return template, chosen | dict(map(_setting, values or []))


def _setting(pair: str) -> tuple[str, Any]:
    """`sentences=3`: a value is JSON where it can be read as that, else it is the text as it stands."""
    name, equals, text = pair.partition("=")
    if not equals or not name:
        raise CannotRelease(f"--set {pair} has no value; write --set {name or 'name'}=<value>")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _facts(prompt: Prompt) -> dict[str, Any]:
    return {name: getattr(prompt, name) for name in ("number", "digest", "aliases", "why", "settings")}


def _table(found: list[Prompt], target: str) -> Table | str:
    if not found:
        return f"nothing is registered as {target} yet"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (target, "digest", "aliases", "why"):
        table.add_column(column, no_wrap=column != "why")
    for each in found:
        aliases = ", ".join(f"@{name}" for name in each.aliases)
        table.add_row(str(each.number), each.digest[:12], aliases, escape(each.why))
    return table


def _whole(prompt: Prompt) -> Text:
    head = Text.assemble((f"{prompt.thing} {prompt.number}", "bold"), f" ({prompt.digest[:12]}): {prompt.why}\n")
    settings = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in prompt.settings.items())
    return head.append(f"{settings}\n{prompt.template}")
