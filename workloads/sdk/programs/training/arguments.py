"""The flags of `python -m <workload>.train`, made from the workload's own models of its parameters."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from workloads.sdk import findings
from workloads.sdk.artifacts import digest_of, sha256
from workloads.sdk.contract import TEST, TIERS, TRAIN, VALIDATION, DeclarationError, Workload
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.programs.data_pipeline import sentence
from workloads.sdk.programs.spec import InputFile, Result, Spec
from workloads.sdk.programs.training.run import Progress, TrainingError, run, say

BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
DATA = "data_"  # prefix of the flags of the data's pipeline


@dataclass(frozen=True)
class Asked:
    """What a command line asks for: a spec, or flags from which one is made."""

    workload: Workload
    parser: argparse.ArgumentParser
    flags: argparse.Namespace
    spec: Spec | None

    @property
    def as_json(self) -> bool:
        return self.flags.json

    def run(self) -> Result:
        """Train. Progress goes to stdout, or to stderr where stdout is for the JSON."""
        progress: Progress = _say_aside if self.as_json else say
        out: Path = self.flags.out or Path(mkdtemp(prefix=f"{self.workload.name}-"))
        out.mkdir(parents=True, exist_ok=True)
        if self.spec is not None:
            return run(self.spec, out, progress)
        with _data(self, progress) as folder:
            data = {
                split: InputFile(path=folder / f"{split}.parquet", sha256=sha256(folder / f"{split}.parquet"))
                for split in (TRAIN, VALIDATION, TEST)
            }
            spec = Spec(
                package=self.workload.package,
                data=data,
                data_version="by hand",
                data_digest=digest_of({split: file.sha256 for split, file in data.items()}),
                code_version=digest_of({file.name: sha256(file) for file in self.workload.folder.glob("*.py")}),
                parameters=_parameters(self.workload, self.flags).model_dump(mode="json"),
                tier=TIERS[self.flags.tier],
            )
            return run(spec, out, progress)

    def table(self, result: Result) -> None:
        """The figures, on stdout."""
        rows = {name: f"{value:.4f}" for name, value in sorted(result.metrics.items())}
        if result.parity:
            rows["parity"] = f"{result.parity.max_difference:.1e} at most, on {result.parity.rows} rows"
        rows["seconds"] = f"{sum(result.seconds.values()):.1f}"
        rows["digest"] = result.digest[:12]
        width = max(map(len, rows))
        print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))


def parse(package: str, arguments: list[str]) -> Asked:
    """Read a command line; where it is wrong, say so and leave with exit status 2."""
    try:
        workload = workload_of(package)
    except (DeclarationError, ModuleNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    parser = argparse.ArgumentParser(
        prog=f"python -m {package}.train", description=workload.description, allow_abbrev=False
    )
    parser.add_argument("--spec", type=Path, help="JSON file that says everything; the flags below do not apply")
    parser.add_argument("--out", type=Path, help="folder for result.json, artifacts and plots (default: a new one)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON; progress goes to stderr")
    parser.add_argument("--data", type=Path, help="folder with <split>.parquet (default: the workload's own pipeline)")
    if workload.variants:
        parser.add_argument(
            "--variant", choices=list(workload.variants), help="parameters to start from; flags go over"
        )
    parser.add_argument("--tier", choices=sorted(TIERS), default=workload.tier, help=f"default: {workload.tier}")
    _add(parser.add_argument_group("parameters"), workload.parameters)
    _add(parser.add_argument_group("parameters of the data, where --data is not given"), workload.data.parameters, DATA)
    flags = parser.parse_args(arguments)
    spec = None
    try:
        spec = Spec.model_validate_json(flags.spec.read_text()) if flags.spec else None
        if spec and spec.package != package:
            parser.error(f"{flags.spec} is a spec of {spec.package}, not of {package}")
    except OSError as error:
        parser.error(f"{flags.spec} cannot be read: {error.strerror}")
    except ValidationError as error:
        parser.error(f"{flags.spec}: {_wrong(error, '')}")
    try:
        workload.parameters.model_validate(spec.parameters) if spec else _parameters(workload, flags)
    except ValidationError as error:
        parser.error(_wrong(error, "--"))
    try:
        _given(workload.data.parameters, flags, DATA)
    except ValidationError as error:
        parser.error(_wrong(error, f"--{DATA}"))
    if flags.data and (absent := [s for s in (TRAIN, VALIDATION, TEST) if not (flags.data / f"{s}.parquet").is_file()]):
        parser.error(f"--data: {flags.data} has no {absent[0]}.parquet")
    return Asked(workload, parser, flags, spec)


def _add(group: Any, model: type[BaseModel], prefix: str = "") -> None:
    for name, field in model.model_fields.items():
        flag = f"--{prefix}{name}".replace("_", "-")
        group.add_argument(flag, dest=f"{prefix}{name}", metavar=_kind(field), help=_help(field))


def _parameters(workload: Workload, flags: argparse.Namespace) -> Any:
    """The variant's values, where one is named, under the flags."""
    values = workload.variants[flags.variant] if getattr(flags, "variant", None) else {}
    return _given(workload.parameters, flags, values=values)


def _given(
    model: type[BaseModel], flags: argparse.Namespace, prefix: str = "", values: Mapping[str, Any] | None = None
) -> Any:
    """The model made of the flags that were given, over `values`; its own validation turns text into values."""
    given = {name: getattr(flags, prefix + name) for name in model.model_fields}
    texts = {name: _value(model.model_fields[name], text) for name, text in given.items() if text is not None}
    return model.model_validate({**(values or {}), **texts})


def _value(field: FieldInfo, text: str) -> str | None:
    return None if text.lower() == "none" and type(None) in get_args(field.annotation) else text


def _kind(field: FieldInfo) -> str:
    kinds = get_args(field.annotation) or (field.annotation,)
    return "|".join("none" if kind is type(None) else getattr(kind, "__name__", str(kind)) for kind in kinds)


def _help(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(bound, name)}"
        for bound in field.metadata
        for name, words in BOUNDS.items()
        if hasattr(bound, name)
    ]
    notes = [*bounds, f"default {field.get_default(call_default_factory=True)}"]
    return f"{field.description or ''} ({', '.join(notes)})".strip().replace("%", "%%")


def _wrong(error: ValidationError, prefix: str) -> str:
    first = error.errors(include_url=False)[0]
    place = prefix + ".".join(str(part) for part in first["loc"])
    got = "" if isinstance(first["input"], dict) else f" (got {first['input']!r})"
    return f"{place.replace('_', '-') if prefix else place}: {first['msg'][:1].lower()}{first['msg'][1:]}{got}"


def _say_aside(share: float, text: str) -> None:
    print(f"[{share:4.0%}] {text}", file=sys.stderr, flush=True)


@contextmanager
def _data(asked: Asked, progress: Progress) -> Iterator[Path]:
    """The folder of the splits: the one that was given, or a temporary one that the workload's pipeline fills."""
    if asked.flags.data:
        yield asked.flags.data
        return
    data, workload = asked.workload.data, asked.workload
    parameters = _given(data.parameters, asked.flags, DATA)
    with TemporaryDirectory(prefix=f"{workload.name}-data-") as folder:
        raw, processed = Path(folder, "raw"), Path(folder, "processed")
        raw.mkdir()
        processed.mkdir()
        progress(0, f"fetching {data.name}")
        try:
            fetched = workload.resolve(data.fetch)(parameters, raw)
            progress(0.02, f"{data.name} comes from {fetched.source} ({fetched.uri})")
            workload.resolve(data.process)(parameters, raw, processed)
        except (OSError, ValueError) as error:
            raise TrainingError(f"the data cannot be made: {sentence(error)}") from error
        for line in findings.said(findings.read(processed)):
            progress(0.03, line)
        yield processed
