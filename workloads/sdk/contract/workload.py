"""The declarations: what all say, and that of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from workloads.sdk.contract.data import Data
from workloads.sdk.contract.gates import Gates, Metric, Parity
from workloads.sdk.contract.training import Parameters
from workloads.sdk.errors import PlatformError


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What every declaration says. The folder's name is its name.

    Attributes:
        name: name of the folder and of the asset group.
        description: one sentence, shown in the UI.
        data: what it is made from, or asked about.
        owners: `team:name` or e-mail addresses.
        kinds: what the UI shows beside the assets' own.
    """

    name: str
    description: str
    data: Data
    owners: Sequence[str] = ()
    kinds: frozenset[str] = frozenset()
    package: str = ""  # set by `load`: the Python package of the folder

    @property
    def folder(self) -> Path:
        spec = find_spec(self.package)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).parent

    def resolve(self, reference: str) -> Any:
        """Import what a reference names, relative to the declaration's package."""
        module, _, attribute = reference.partition(":")
        return getattr(import_module(f"{self.package}.{module}"), attribute)


@dataclass(frozen=True, kw_only=True)
class Workload(Declared):
    """One model, from its data to its endpoint, which has its name.

    Attributes:
        parameters: pydantic model of its parameters.
        variants: named sets of values over the parameters' defaults. One materialization trains them all, in parallel,
            and the best of them by the deciding metric on validation is judged; empty: the defaults alone.
        metrics: all metrics that `evaluate` scores.
        gates: what a candidate must show.
        gates_by_source: the same for data of another source (`Fetched.source`), where other figures are to be expected.
        train: `module:function`, `TrainingJob -> TrainingResult`.
        predictor: `module:class`, a `Predictor`.
        rows: `module:function`, `(split: Path) -> inputs` of a whole split, as `Predictor.outputs` takes them.
        evaluate: `module:function`, `(outputs, split: Path) -> Evaluation`.
        plot: `module:function`, `(outputs, split: Path, out: Path) -> None`; writes pictures (PNG) of the evaluation.
        example: `module:function`, `(split: Path, rows: int) -> dict`; a request's body made of the split's first rows.
        parity: served form against trained form, where they differ.
        tier: name in `TIERS` of what its training asks for, unless somebody asks for another.
        approval: `manual`: a candidate that passes its gates waits until a person approves it.
        replicas: processes that answer at its endpoint; None: as many as the setting `replicas` says.
        retrain_after_hours: a model older than this is not fresh.
    """

    parameters: type[Parameters]
    metrics: Sequence[Metric]
    gates: Gates
    gates_by_source: Mapping[str, Gates] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    train: str = "train:train"
    predictor: str = "predict:Predictor"
    rows: str = "data:rows"
    evaluate: str = "evaluate:evaluate"
    plot: str | None = "evaluate:plot"
    example: str = "data:example"
    parity: Parity | None = None
    tier: str = "cpu-small"
    approval: Literal["automatic", "manual"] = "automatic"
    replicas: int | None = None
    retrain_after_hours: int = 24 * 30

    @cached_property
    def metric(self) -> Metric:
        """The metric that decides."""
        return next(metric for metric in self.metrics if metric.name == self.gates.metric)

    def for_source(self, source: str) -> "Workload":
        """This workload with the gates that hold for data of a source."""
        return replace(self, gates=self.gates_by_source.get(source, self.gates))


class DeclarationError(PlatformError):
    """A declaration is wrong; the message names file and field."""
