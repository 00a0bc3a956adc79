"""The dataset that a declaration is made from, and its pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

TRAIN, VALIDATION, TEST = "train", "validation", "test"
FETCHED = "fetched.json"  # among the raw files: where they came from


class DataParameters(BaseModel):
    """Base of the parameters of a dataset's pipeline; they are kept in the data registry (`params.yaml`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
