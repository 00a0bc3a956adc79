"""`mlops`: the platform, its data, its releases and their lineage from the command line."""

import typer

from mlops_assets.commands import backup, compute, data, demo, lineage, new, platform, prompt, release

app = typer.Typer(
    name="mlops",
    help="Datasets, models, releases and live endpoints as assets with lineage.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (platform, backup, demo, new, compute, data, release, prompt, lineage):
    group.register(app)
main = app

if __name__ == "__main__":
    main()
