"""The stages of a dataset's pipeline, as DVC runs them in the data registry.

`python -m workloads.sdk.programs.data_pipeline fetch --name wine --function workloads.wine.data:fetch
--parameters workloads.wine.data_parameters:WineData --params pipelines/wine/params.yaml`; folders are relative to the
registry's root: `data/<name>/raw`, `data/<name>/processed` and `data/<name>/metadata.json`.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from workloads.sdk.contract import DataParameters
from workloads.sdk.contract.data import FETCHED
from workloads.sdk.digests import dataset_digest, digests


def fetch(function: Callable[..., Any], parameters: DataParameters, data: Path, about: dict[str, str]) -> None:
    """Raw files, and where they came from. Only the parameters marked `fetch` reach the function, since DVC runs this
    stage again only when one of these changes."""
    known = fetch_parameters(type(parameters))
    given = {name: value for name, value in parameters.model_dump().items() if name in known}
    raw = _empty(data / "raw")
    _say(about, "fetching")
    fetched = function(type(parameters)(**given), raw)
    (raw / FETCHED).write_text(json.dumps(asdict(fetched), indent=2) + "\n")
    _say(about, f"fetched from {fetched.source} ({fetched.uri})")


def process(
    function: Callable[..., Any], parameters: DataParameters, data: Path, about: dict[str, str], splits: list[str]
) -> None:
    """The splits, one parquet file each."""
    out = _empty(data / "processed")
    _say(about, "processing")
    function(parameters, data / "raw", out)
    if missing := [name for name in splits if not (out / f"{name}.parquet").exists()]:
        raise ValueError(f"the pipeline wrote no {', '.join(missing)} split")


def describe(function: Callable[..., Any], parameters: DataParameters, data: Path, about: dict[str, str]) -> None:
    """`metadata.json`: dataset, schema, splits, statistics, files with their digests, and the digest of the whole."""
    fetched = json.loads((data / "raw" / FETCHED).read_text())
    description = dict(function(parameters, data / "processed"))
    files = []
    for folder in ("processed", "raw"):
        for file in sorted((data / folder).rglob("*")):
            if file.is_file():
                split = file.stem if folder == "processed" and file.suffix == ".parquet" else None
                files.append({"path": file.as_posix(), "split": split, **digests(file)})
    digest = dataset_digest((file["path"], file["sha256"]) for file in files if file["split"])
    dataset = {**about, **fetched, "parameters": parameters.model_dump(mode="json")}
    metadata = {"dataset": dataset, **description, "files": files, "digest": digest}
    (data / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    rows = ", ".join(f"{name} {split['rows']}" for name, split in description["splits"].items())
    _say(about, f"rows: {rows}")


def fetch_parameters(model: type[DataParameters]) -> list[str]:
    """Names of the parameters that the raw files depend on."""
    fields = model.model_fields.items()
    return [name for name, field in fields if isinstance(e := field.json_schema_extra, dict) and e.get("fetch")]


def looks_always(model: type[DataParameters]) -> bool:
    """Whether a parameter names something whose content may change while its name stays: a folder, a repository."""
    fields = model.model_fields.values()
    return any(isinstance(e := field.json_schema_extra, dict) and e.get("fetch") == "always" for field in fields)


def file_parameters(model: type[DataParameters]) -> list[str]:
    """Names of those among them that are files of this machine (`Path`): the content counts, not only the name."""
    return [name for name in fetch_parameters(model) if model.model_fields[name].annotation is Path]


def sentence(error: Exception) -> str:
    """What is wrong, on one line; of a file also its name."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _say(about: dict[str, str], text: str) -> None:
    print(f"{about['name']}: {text}", flush=True)


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _resolve(reference: str) -> Any:
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def main() -> int:
    """Run one stage; what is wrong is one sentence on the error stream, after `error: ` or (a host) `away: `."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["fetch", "process", "describe"])
    for name in ("name", "function", "parameters", "params"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--description", default="")
    parser.add_argument("--splits", nargs="+", help="what `process` must write")
    arguments = parser.parse_args()

    import yaml

    model = _resolve(arguments.parameters)
    parameters = model(**(yaml.safe_load(Path(arguments.params).read_text()) or {}))
    function = _resolve(arguments.function)
    about = {"name": arguments.name, "description": arguments.description}
    more = {"splits": arguments.splits} if arguments.stage == "process" else {}
    try:
        globals()[arguments.stage](function, parameters, Path("data", arguments.name), about, **more)
    except (OSError, ValueError) as error:
        kind = "away" if isinstance(error, ConnectionError) else "error"
        print(f"{kind}: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
