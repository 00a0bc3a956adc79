"""`mlops`: the platform, its data, its releases and their lineage from the command line."""

from importlib import import_module
from importlib.util import find_spec

import typer

app = typer.Typer(
    name="mlops",
    help="Datasets, models, releases and live endpoints as assets with lineage.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name in ("platform", "demo", "data", "release", "lineage"):
    if find_spec(f"mlops_assets.commands.{name}") is not None:
        import_module(f"mlops_assets.commands.{name}").register(app)


if __name__ == "__main__":
    app()
