"""What commands have in common: how they are added and what they print, also where something goes wrong."""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from resources.http import NoAnswer, ServerError
from resources.settings import settings
from workloads.sdk.disk import disk_full
from workloads.sdk.errors import PlatformError

WIDE = 200  # columns, so that no identity or address is cut short: a narrow terminal wraps the line
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def add(app: typer.Typer, *commands: Callable[..., Any], failed: int = 1, panel: str | None = None) -> None:
    """Add commands. What a person can mend is printed without a traceback; the exit code is `failed` then."""
    for command in commands:
        app.command(command.__name__.strip("_"), rich_help_panel=panel)(_sentences(command, failed))


def _sentences(command: Callable[..., Any], failed: int) -> Callable[..., Any]:
    @wraps(command)
    def run(*args: Any, **values: Any) -> Any:
        try:
            return command(*args, **values)
        except (PlatformError, TimeoutError, NoAnswer, ServerError, OSError) as error:
            if (said := _sentence(error)) is None:
                raise
            typer.secho(said, err=True, fg=typer.colors.RED)
            if values.get("as_json"):
                typer.echo(json.dumps({"error": said}))
            raise typer.Exit(failed) from None

    return run


def _sentence(error: Exception) -> str | None:
    """What a person is told of an error; None for one that nobody foresaw, whose traceback is needed."""
    if isinstance(error, PlatformError | TimeoutError | NoAnswer | ServerError):
        return str(error)
    if isinstance(error, OSError) and (full := disk_full(error)):
        return str(full)
    home = settings().home
    if isinstance(error, OSError) and error.filename and Path(str(error.filename)).is_relative_to(home):
        return f"{home} cannot be used ({error.strerror}: {error.filename}); set MLOPS_HOME to a folder of your own"
    return None


def show(value: Any, as_json: bool, view: Callable[[], Any], width: int | None = None) -> None:
    """Print a value as JSON, or what `view` makes of it: a text, printed as it stands, or something that Rich draws."""
    if as_json:
        typer.echo(json.dumps(value, indent=2, default=str))
    elif isinstance(made := view(), str):
        typer.echo(made)
    else:
        Console(highlight=False, width=width).print(made, soft_wrap=True)
