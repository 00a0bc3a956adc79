"""The contract's second half: an index of a corpus, and an application that answers by it.

An application is put together of three things that are judged and released each by itself: the index that it reads, its
prompt, and a language model. Which release of each is in use is the application's composition, and that is what its
endpoint serves, as the endpoint of a model serves a version.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from workloads.sdk.contract import Declared, Gates, Metric, OnInconclusive, Parameters, Services

COMPOSITION = "composition.json"
PART = "part.json"  # file of a part's artifact folder that holds its content
EXTRACTIVE = "extractive"  # provider of the answerer that needs no language model
ROLES = ("index", "prompt", "language_model")  # of the parts of a composition; also the kinds of the things they are

Provider = Literal["extractive", "openai"]


# --- the index ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IndexGates:
    """What a candidate index must show before it may be released.

    Attributes:
        recall: least share of the exact search's `k` nearest chunks that the index finds.
        k: how many chunks a query asks for.
        latency_ms: budget of the 95th percentile of one vector query in the database, milliseconds.
        queries: how many chunks' own texts are asked as queries, chosen by their ids.
        filters: metadata columns by which filtered queries are judged too.
        margin: by how much recall may be below that of what is released.
        on_inconclusive: see `OnInconclusive`.
    """

    recall: float = 0.98
    k: int = 10
    latency_ms: float = 50
    queries: int = 200
    filters: Sequence[str] = ("source",)
    margin: float = 0.01
    on_inconclusive: OnInconclusive = OnInconclusive.RELEASE


class IndexParameters(Parameters):
    """Base of an index' parameters; how documents are cut is the declaration's own."""

    type: Literal["vector", "halfvec"] = Field(
        "vector", description="How vectors are stored: halfvec takes about half the room, and rounds to 11 bits."
    )
    links: int = Field(16, ge=4, le=64, description="HNSW: links of a vector in the index (m).")
    candidates: int = Field(64, ge=8, le=500, description="HNSW: candidates looked at to place one (ef_construction).")

    @model_validator(mode="after")
    def _candidates_suffice(self) -> Self:
        if self.candidates < 2 * self.links:
            raise ValueError(f"candidates={self.candidates} is less than twice links={self.links}")
        return self


@dataclass(frozen=True, kw_only=True)
class Index(Declared):
    """A corpus, embedded and indexed: a table of vectors for each version of the corpus.

    Attributes:
        parameters: pydantic model of how it is chunked, embedded and indexed.
        gates: what a candidate must show.
        chunk: `module:function`, `(document: Mapping[str, Any], parameters) -> list[Chunk]`; see `kits/chunking.py`.
        tier: name in `TIERS` of what embedding asks for, unless somebody asks for another.
        approval: `manual`: a candidate that passes its gates waits until a person approves it.
    """

    parameters: type[IndexParameters]
    gates: IndexGates = IndexGates()
    chunk: str = "chunks:chunk"
    tier: str = "cpu-small"
    approval: Literal["automatic", "manual"] = "automatic"

    @property
    def thing(self) -> str:
        """Its name in the ledger."""
        return f"index/{self.name}"


# --- the application ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Component:
    """A released thing (or a candidate before its gate) as a part of a composition.

    Attributes:
        thing: its name in the ledger, for example `prompt/rag`.
        release: id of the release in the ledger; None: it is a candidate.
        version: its semantic version; its number as text where it was never released.
        number: its number in the registry.
        digest: identity of its content.
        data: tag of the data that it was made from or judged on.
        content: what the application needs of it, as JSON: `Composition` says what for each role.
    """

    thing: str
    release: int | None
    version: str
    number: int
    digest: str
    data: str
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Composition:
    """What an application is put together of.

    Attributes:
        index: content `schema`, `table` (of the vectors), `embedder` (name and digest), `dimensions`, `type` (`vector`
            or `halfvec`), `chunks` (how many), `corpus` (tag of the data).
        prompt: content `template` (text with placeholders) and `settings` (of the application's `Settings`).
        language_model: content `provider` (`extractive`, or `openai` for whatever speaks that protocol), `model`,
            `url`, `temperature`. No secrets.
    """

    application: str
    index: Component
    prompt: Component
    language_model: Component

    @property
    def parts(self) -> dict[str, Component]:
        """Each role's part."""
        return {role: getattr(self, role) for role in ROLES}

    @property
    def answerer(self) -> str:
        """What answers, in words: wherever a figure of quality is shown, so is this."""
        content = self.language_model.content
        if content["provider"] == EXTRACTIVE:
            return "the extractive answerer (no language model)"
        return f"the language model {content['model']}"

    def write(self, folder: Path) -> None:
        folder.joinpath(COMPOSITION).write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Composition":
        """Raises OSError or ValueError where there is none that can be read."""
        read = json.loads(folder.joinpath(COMPOSITION).read_text())
        return cls(read["application"], **{role: Component(**read[role]) for role in ROLES})


@dataclass(frozen=True, kw_only=True)
class Application(Declared):
    """A service that answers by an index, a prompt and a language model. Its data are the questions it is judged by.

    Attributes:
        index: name of the `Index` that it reads, in the same folder of workloads.
        prompt: file beside the declaration: the first prompt, which is registered where there is none yet.
        settings: pydantic model of the settings that belong to a prompt; a registered prompt holds them too.
        metrics: all metrics that `evaluate` scores.
        gates: what a candidate prompt or language model must show on the questions; see `contract.Gates`.
        repeats: how often each question is asked; a row's score is the mean over them.
        app: `module:class`, an `App`.
        check: `module:function`, `(template: str) -> None`; raises ValueError where a prompt's text cannot be used.
        evaluate: `module:function`, a coroutine `(app: App, questions: Path, repeats: int, shuffled: bool, services:
            Services) -> contract.Evaluation`; it raises where an answer fails. `shuffled`: each question is answered
            from the passages of another, as a control. A score may be NaN where its metric does not apply to a row, but
            for the one that decides, and for `milliseconds`, which the latency gate reads.
        approval: `manual`: a candidate that passes its gates waits until a person approves it.
        replicas: processes that answer at its endpoint; None: as many as the setting `replicas` says.
    """

    index: str
    metrics: Sequence[Metric]
    gates: Gates
    settings: type[BaseModel]
    prompt: str = "prompt.md"
    repeats: int = 3
    app: str = "app:App"
    check: str = "settings:check_template"
    evaluate: str = "evaluate:evaluate"
    approval: Literal["automatic", "manual"] = "automatic"
    replicas: int | None = None

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return next(metric for metric in self.metrics if metric.name == self.gates.metric)

    def things(self) -> dict[str, str]:
        """The ledger's name of each part, by role."""
        return {
            "index": f"index/{self.index}",
            "prompt": f"prompt/{self.name}",
            "language_model": f"language_model/{self.name}",
        }


# --- what serves it -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A request to an application, already read and validated.

    A call whose caller hangs up is cancelled.

    Attributes:
        id: its own; where the reply is logged, the prediction's id.
        body: an instance of the route's `request` model, None where it has none.
        path: values of the path's placeholders, for example `{"id": ...}`.
    """

    id: UUID
    body: Any = None
    path: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What an application answers.

    Attributes:
        body: JSON-ready. Where `stream` is given, it is filled while that goes on; the server ends the stream with an
            event `done` that holds it, and logs what it holds by then. `refused` in it, if true, is counted.
        stream: events of a stream (SSE), each a (name, JSON-ready data).
        logged: whether this is an answer that can be traced: it gets a prediction id and a row in the log.
    """

    body: Any = None
    status: int = 200
    stream: AsyncIterator[tuple[str, Any]] | None = None
    logged: bool = False


class Failed(Exception):
    """An application's methods raise it where they cannot answer: HTTP status, short code, and why and what to do."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Route:
    """One of an application's routes: the coroutine `method` of the class, `(call: Call) -> Reply`, answers `verb` at
    `path` (placeholders as `{id}`; HEAD where GET is). The method's docstring is what the endpoint's page says of it.
    """

    verb: Literal["GET", "POST", "DELETE"]
    path: str
    method: str
    request: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    admin: bool = False  # asks for the admin key
    streams: bool = False  # may answer with a stream


class App(ABC):
    """The served form of an application: what the gates judge and what the endpoint answers with.

    `/health`, `/info`, `/metrics`, `/docs` and `/versions` are the server's own.
    """

    routes: ClassVar[Sequence[Route]]

    @classmethod
    def forms(cls) -> list[type[BaseModel]]:
        """What callers see: another form of any of them is another signature."""
        return [form for route in cls.routes for form in (route.request, route.answer) if form]

    @classmethod
    @abstractmethod
    def load(cls, composition: Composition, services: Services) -> Self:
        """Load; runs in a thread. Raises where a part is not whole, for example vectors of another embedder."""

    def info(self) -> Mapping[str, Any]:
        """What `/info` says of it, beside its parts."""
        return {}

    @abstractmethod
    async def close(self) -> None:
        """Give back connections, once nobody asks it any more."""
