"""`mlops backup` and `mlops restore`: all that a platform holds, in one file."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mlops_assets.commands.shared import AsJson, add, show
from resources.settings import settings


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    add(app, backup, restore, panel="Platform")


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write, for example mlops.tar.gz.")],
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Also passwords and keys; else new ones are made where it is restored.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write databases, registry, data and models into one file. The platform may run."""
    from resources.embedded import backup as backups

    backups.backup(settings(), file.absolute(), secrets, (lambda line: None) if as_json else typer.echo)
    size = file.stat().st_size
    show({"file": str(file), "bytes": size}, as_json, lambda: f"{file}: {size / 2**20:,.1f} MiB")


def restore(
    file: Annotated[Path, typer.Argument(help="An archive that `mlops backup` wrote.")], as_json: AsJson = False
) -> None:
    """Fill an empty home (MLOPS_HOME) from a backup; then `mlops up`."""
    from resources.embedded import backup as backups

    about = backups.restore(settings(), file.absolute(), (lambda line: None) if as_json else typer.echo)
    at = f"{datetime.fromtimestamp(about['at']):%Y-%m-%d %H:%M}"
    said = f"{settings().home} is what {about['home']} was on {at}. `mlops up` starts it"
    show({**about, "restored": str(settings().home)}, as_json, lambda: said)
