"""A dataset's pipeline as files of the registry: parameters, stages, and the code that they run.

The code is copied into the registry, so that a tag holds what made its data, and a change of that code runs the
stages again.
"""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from resources.registry.version import DataError
from resources.source_code import closure
from workloads.sdk.contract import DataParameters, Declared
from workloads.sdk.programs.data_pipeline import fetch_parameters, file_parameters, looks_always

RUNNER = "workloads.sdk.programs.data_pipeline"


def parameters_of(workload: Declared, values: Mapping[str, Any]) -> DataParameters:
    """The pipeline's parameters with some set, files with their whole path.

    Raises:
        DataError: names the parameter, and what it may be.
    """
    model = workload.data.parameters
    try:
        parameters = model(**values)
    except ValidationError as error:
        known = ", ".join(model.model_fields) or "none"
        said = []
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"])) or "parameters"
            if problem["type"] == "extra_forbidden":
                said.append(f"there is no parameter {name!r}")
            else:
                said.append(f"{name}={problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
        raise DataError(f"{workload.data.name}: {'; '.join(said)} (parameters: {known})") from error
    files = {name: getattr(parameters, name).expanduser().resolve() for name in file_parameters(type(parameters))}
    for name, file in files.items():
        if not file.is_file():
            raise DataError(f"{workload.data.name}: {name}={file} is no file; name another with --set {name}=<path>")
    return parameters.model_copy(update=files)


def write_pipeline(workload: Declared, parameters: DataParameters, root: Path) -> Path:
    """Write `pipelines/<name>/` into the registry at `root`; returns its `dvc.yaml`."""
    import yaml

    name, folder = workload.data.name, Path("pipelines", workload.data.name)
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "params.yaml").write_text(yaml.safe_dump(parameters.model_dump(mode="json"), sort_keys=True))
    code = _copy_code(workload, root / folder / "code")
    stages = _stages(workload, parameters, folder, [f"{folder}/code/{file}" for file in code])
    file = root / folder / "dvc.yaml"
    file.write_text(
        f"# The pipeline of {name}; written by `mlops data release`.\n" + yaml.safe_dump(stages, width=1000)
    )
    return file


def _stages(workload: Declared, chosen: DataParameters, folder: Path, code: list[str]) -> dict[str, Any]:
    data, out, parameters = workload.data, f"data/{workload.data.name}", workload.data.parameters
    files = [str(getattr(chosen, name)) for name in file_parameters(parameters)]  # a changed one is fetched again
    every = list(parameters.model_fields)

    def stage(name: str, function: str, needs: list[str], makes: dict[str, Any], names: list[str]) -> dict[str, Any]:
        arguments = {
            "name": data.name,
            "function": f"{workload.package}.{function}",
            "parameters": f"{parameters.__module__}:{parameters.__qualname__}",
            "params": f"{folder}/params.yaml",
        }
        if name == "describe":
            arguments["description"] = data.description
        flags = " ".join(f"--{flag} {shlex.quote(value)}" for flag, value in arguments.items())
        if name == "process":
            flags += f" --splits {' '.join(map(shlex.quote, data.splits))}"
        return {
            "cmd": f"PYTHONPATH={folder}/code python -m {RUNNER} {name} {flags}",
            "wdir": "../..",
            "deps": code + needs,
            **({"params": [{f"{folder}/params.yaml": list(names)}]} if names else {}),
            **makes,
        }

    raw, processed = f"{out}/raw", f"{out}/processed"
    metadata = {"metrics": [{f"{out}/metadata.json": {"cache": False}}]}
    fetched = {"outs": [raw], **({"always_changed": True} if looks_always(parameters) else {})}
    return {
        "stages": {
            "fetch": stage("fetch", data.fetch, files, fetched, fetch_parameters(parameters)),
            "process": stage("process", data.process, [raw], {"outs": [processed]}, every),
            "describe": stage("describe", data.describe, [processed, raw], metadata, every),
        }
    }


def _copy_code(workload: Declared, out: Path) -> list[str]:
    """Copy the modules that the stages run; returns their paths within `out`, sorted."""
    references = (workload.data.fetch, workload.data.process, workload.data.describe)
    wanted = [f"{workload.package}.{reference.partition(':')[0]}" for reference in references]
    sources = closure([RUNNER, workload.data.parameters.__module__, *wanted])
    shutil.rmtree(out, ignore_errors=True)
    for path, source in sources.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(source.read_bytes())
    return sorted(sources)
