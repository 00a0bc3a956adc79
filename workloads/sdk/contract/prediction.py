"""The served form of a model: from requests to answers, and how these are scored."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from pydantic import BaseModel


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

    def takes(self) -> type[BaseModel]:
        """The form of the requests that this very model takes.

        It may say more than `Request` where the model knows more, for example the names of its columns.
        """
        return self.Request

    def request_schema(self) -> dict[str, Any]:
        """Its JSON schema: the playground's fields are made of it, `/info` shows it."""
        return self.takes().model_json_schema()

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
