"""What goes wrong in a command, as one sentence and an exit code."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from workloads.sdk.errors import PlatformError


def sentences(command: Callable[..., Any], code: int = 1) -> Callable[..., Any]:
    """A command that prints what a person can mend, without a traceback, and then exits with `code`."""

    @wraps(command)
    def run(*args: Any, **values: Any) -> Any:
        try:
            return command(*args, **values)
        except (PlatformError, TimeoutError) as error:
            typer.secho(str(error), err=True, fg=typer.colors.RED)
            raise typer.Exit(code) from None

    return run
