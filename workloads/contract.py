"""The only interface between a workload and the platform.

A workload declares one `Workload` named `workload` in `<folder>/workload.py`. Everything else it names by reference
(`"train:train"` is the function `train` of the module `train.py` beside the declaration), so that loading a
declaration imports no machine-learning library. The platform knows rows, scores, metrics and artifacts; what a row
or a score means is the workload's own business.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

TRAIN, VALIDATION, TEST = "train", "validation", "test"


class Parameters(BaseModel):
    """Base of a workload's parameters: one field each, with description and bounds.

    From it come the Dagster launchpad, the flags of `python -m <workload>.train`, and the search space of a tuning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(42, ge=0, le=2**31 - 1, description="Seed of every random generator in training.")


class DataParameters(BaseModel):
    """Base of the parameters of a dataset's pipeline; they are kept in the data registry (`params.yaml`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- data -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """The dataset that a workload learns from, and its pipeline.

    Attributes:
        name: prefix of its tags in the data registry, `<name>-v1.2.0`. Hyphens are written as underscores.
        description: one sentence.
        parameters: pydantic model of the pipeline's parameters, with defaults.
        fetch: `module:function`, `(parameters, out: Path) -> Fetched`; downloads the raw files into `out` and verifies
            their checksums. Raises with one clear sentence where the source is away.
        process: `module:function`, `(parameters, raw: Path, out: Path) -> None`; writes `<split>.parquet` for
            each split into `out`. Each row has a column `row_id` (string), the row's identity.
        describe: `module:function`, `(parameters, processed: Path) -> Mapping`; schema, splits with sizes, statistics,
            as JSON.
        schema: `module:function`, `() -> pandera.DataFrameSchema` that every split must satisfy.
        splits: names of the files that `process` writes. Data that nothing is trained on has one, named as it likes.
    """

    name: str
    description: str
    fetch: str = "data:fetch"
    process: str = "data:process"
    describe: str = "data:describe"
    schema: str = "data:schema"
    parameters: type[DataParameters] = DataParameters
    splits: Sequence[str] = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True)
class Fetched:
    """Where the raw files came from: `source` is a short name (`official`, `scikit-learn`), `uri` the address."""

    source: str
    uri: str


# --- training -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tier:
    """What a job asks of the machine; counts are per worker, `gpus` may be a fraction of one, memory is in GiB."""

    workers: int = 1
    cpus: float = 1
    gpus: float = 0
    memory_gib: float = 1


TIERS: Mapping[str, Tier] = {
    "cpu-small": Tier(cpus=1, memory_gib=1),
    "cpu-medium": Tier(cpus=2, memory_gib=4),
    "cpu-large": Tier(cpus=4, memory_gib=8),
    "cpu-small-distributed": Tier(workers=2, cpus=1, memory_gib=2),
    "cpu-medium-distributed": Tier(workers=2, cpus=2, memory_gib=4),
    "cpu-large-distributed": Tier(workers=2, cpus=4, memory_gib=8),
    "gpu-bronze": Tier(cpus=1, gpus=0.25, memory_gib=4),
    "gpu-silver": Tier(cpus=2, gpus=0.5, memory_gib=8),
    "gpu-gold": Tier(cpus=4, gpus=1, memory_gib=16),
    "gpu-gold-distributed": Tier(workers=2, cpus=4, gpus=1, memory_gib=16),
}


@dataclass(frozen=True)
class TrainingJob:
    """What `train` is handed. The test split is not among it: it is for the gates only.

    Attributes:
        data: file of each split, `train` and `validation`.
        parameters: the workload's own parameters.
        artifacts: empty folder; what is written there is the model, preprocessing and labels included.
        plots: folder for pictures (PNG).
        checkpoints: folder that survives a lost process; a checkpoint found there is resumed from.
        tier: what the job was given.
        progress: called with (done share in [0, 1], one line of text).
    """

    data: Mapping[str, Path]
    parameters: Any
    artifacts: Path
    plots: Path
    checkpoints: Path
    tier: Tier
    progress: Callable[[float, str], None] = lambda share, text: None


@dataclass(frozen=True)
class Trial:
    """One try of a search for good parameters. Any workload may search: the platform draws and tracks what it tried.

    Attributes:
        name: unlike that of the search's other trials.
        parameters: what was tried, by name, as plain JSON values.
        metrics: finite values by name; a search goes by `validation_<metric that decides>`.
        curves: one list of finite values per name, a value per epoch or round.
        state: `stopped` early, since others promised more; `failed` for good, after it was tried again.
        best: whether this one became the model.
        seconds: how long it trained.
    """

    name: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    state: Literal["finished", "stopped", "failed"] = "finished"
    best: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainingResult:
    """What `train` returns.

    Attributes:
        metrics: final values by name, measured on train and validation, for example `validation_accuracy`.
        curves: one list of values per name, a value per epoch or round.
        resumed_from: what checkpoint the training went on from, if any.
        trials: what a search tried, where there was one.
    """

    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    resumed_from: str | None = None
    trials: Sequence[Trial] = ()


# --- prediction -----------------------------------------------------------------------------------------------------


class Services(Protocol):
    """What a predictor may need from outside; `resources` implements it. It grows with each service's first user."""

    def setting(self, name: str) -> str | None:
        """A value configured for this endpoint, or None."""
        ...

    def secret(self, name: str) -> str | None:
        """A value that nobody else may see, or None: `database` (URL of vectors, sessions and feedback),
        `language_model_key`, `admin_key`. It must not be logged or stored."""
        ...


class InvalidInput(ValueError):
    """A request's body is well formed and still no input of this model: an endpoint answers 422, field and reason."""

    def __init__(self, field: str, reason: str):
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class Predictor(ABC):
    """The served form of a model: what the gates judge and what endpoints answer with.

    Attributes:
        Request: pydantic model of a request's body. Validation is where bad input is refused, with field and reason.
        Prediction: pydantic model of the answer to one row.
    """

    Request: ClassVar[type[BaseModel]]
    Prediction: ClassVar[type[BaseModel]]

    @classmethod
    @abstractmethod
    def load(cls, artifacts: Path, services: Services) -> Self:
        """Load from an artifact folder. Never unpickles. Raises if the artifacts are not whole."""

    @abstractmethod
    def inputs(self, request: BaseModel) -> Any:
        """The rows of a validated request, as `outputs` takes them (an array whose first axis is rows, or a list).

        Raises `InvalidInput` for what only this model can see to be wrong, for example a word it does not know.
        """

    @abstractmethod
    def outputs(self, inputs: Any) -> Any:
        """Raw model outputs for rows, float32 array of shape (rows, k). Vectorized; safe to call from many threads."""

    @abstractmethod
    def answers(self, outputs: Any) -> list[dict[str, Any]]:
        """One JSON-ready answer per row, each as `Prediction` describes."""

    @classmethod
    def forms(cls) -> list[type[BaseModel]]:
        """What callers see: another form of any of them is another signature."""
        return [cls.Request, cls.Prediction]

    def request_schema(self) -> dict[str, Any]:
        """JSON schema of the requests that this very model takes: forms are made of it, `/info` shows it.

        It may say more than `Request` where the model knows more, for example the names of its columns.
        """
        return self.Request.model_json_schema()

    def predict(self, request: BaseModel) -> list[dict[str, Any]]:
        """The whole way: rows, outputs, answers."""
        return self.answers(self.outputs(self.inputs(request)))


@dataclass(frozen=True)
class Evaluation:
    """A predictor's scores on a split, row by row, in the split's order.

    Attributes:
        scores: for each metric, an array of shape (rows,): a metric is the mean of its row scores (correctness,
            squared error, reciprocal rank), which is what makes slices and paired tests exact for any workload.
        slices: groups of rows that no column of the split names, an array of shape (rows,) of strings for each.
    """

    scores: Mapping[str, Any]
    slices: Mapping[str, Any] = field(default_factory=dict)


# --- gates ----------------------------------------------------------------------------------------------------------


class OnInconclusive(StrEnum):
    """What follows when the test set is too small to show a difference of the margin's size."""

    RELEASE = "release"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Metric:
    """A measure of quality, the mean over rows of a score of the same name in `Evaluation.scores`."""

    name: str
    description: str
    higher_is_better: bool = True
    unit: str = ""


@dataclass(frozen=True)
class Slice:
    """A column whose groups of rows are looked at one by one.

    Attributes:
        column: one of `Evaluation.slices`, or a column of the test split; numbers are cut at their quartiles.
        floor: what every group must reach (a ceiling where lower is better); None: they are shown, and none is judged.
        minimum_rows: a group with fewer rows is shown and not judged.
    """

    column: str
    floor: float | None = None
    minimum_rows: int = 10


@dataclass(frozen=True)
class Gates:
    """What a candidate must show before it may be released; every figure on the frozen test split, served form.

    Attributes:
        metric: name of the metric that decides.
        floor: value that the metric must reach (a ceiling where lower is better).
        margin: difference to the champion that matters, in the metric's own unit; a candidate may be worse by less.
        slices: columns within whose groups the metric is looked at, with a floor or without.
        golden: JSON file beside the declaration: a list of `{"request": ..., "answer": {...}}`, each request with one
            row, whose answer must contain the given fields; floats are compared within 1e-3. None: no golden rows.
        latency_ms: budget of the 95th percentile of one row's prediction in process, milliseconds.
        on_inconclusive: see `OnInconclusive`.
    """

    metric: str
    floor: float
    margin: float
    latency_ms: float
    slices: Sequence[Slice] = ()
    golden: str | None = None
    on_inconclusive: OnInconclusive = OnInconclusive.RELEASE


@dataclass(frozen=True)
class Parity:
    """How far the served form may differ from the trained one, on all held-out rows.

    Attributes:
        reference: `module:function`, `(artifacts: Path, inputs) -> outputs` of the trained form.
        tolerance: largest absolute difference of any output.
    """

    reference: str
    tolerance: float


# --- the declaration ------------------------------------------------------------------------------------------------


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
    retrain_after_hours: int = 24 * 30

    @cached_property
    def metric(self) -> Metric:
        """The metric that decides."""
        return next(metric for metric in self.metrics if metric.name == self.gates.metric)

    def for_source(self, source: str) -> "Workload":
        """This workload with the gates that hold for data of a source."""
        return replace(self, gates=self.gates_by_source.get(source, self.gates))


class DeclarationError(Exception):
    """A declaration is wrong; the message names file and field."""


Verdict = Literal["pass", "refuse", "inconclusive"]
