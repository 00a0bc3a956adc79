"""`mlops`: the platform, its data, its releases and their lineage from the command line."""

import sys

import typer

from mlops_assets.commands import compute, data, demo, lineage, new, platform, prompt, release

OWN = ("mlops_assets", "resources", "workloads", "jobs", "sensors")

app = typer.Typer(
    name="mlops",
    help="Datasets, models, releases and live endpoints as assets with lineage.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (platform, demo, new, compute, data, release, prompt, lineage):
    group.register(app)


def main() -> None:
    """The program. An error of our own is one sentence that says what to do; any other is a bug, shown in full."""
    try:
        app()
    except Exception as error:
        if type(error).__module__.split(".")[0] not in OWN:
            raise
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        sys.exit(1)


if __name__ == "__main__":
    main()
