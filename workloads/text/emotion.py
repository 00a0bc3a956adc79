"""Short English messages and the emotion in each, of Saravia et al. (2018), from the hub: 16,000 + 2,000 + 2,000."""

from pathlib import Path

from workloads.sdk.contract import Fetched
from workloads.sdk.dataset import download

REVISION = "cab853a1dbdf4c42c2b3ef2173804746df8825fe"
URL = f"https://huggingface.co/datasets/dair-ai/emotion/resolve/{REVISION}/split"
LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
ROWS = {"train": 16_000, "validation": 2_000, "test": 2_000}


def fetch(out: Path) -> Fetched:
    """Put the three published files of the pinned revision into `out`.

    Raises:
        ConnectionError: the hub is away; no other source takes its place.
        ValueError: a file is not what was published.
    """
    for split in ROWS:
        try:
            content = download(f"{URL}/{split}-00000-of-00001.parquet")
        except ConnectionError as error:
            raise ConnectionError(f"{error}; try again later, or ask for the other source, docstrings") from error
        (out / f"{split}.parquet").write_bytes(content)
    read(out)
    return Fetched(source="emotion", uri=URL)


def read(raw: Path) -> tuple[list[str], list[str], list[str]]:
    """Texts, labels and splits of all rows. Raises ValueError where a file is not what was published."""
    import pyarrow as pa
    from pyarrow import parquet

    texts, labels, splits = [], [], []
    for split, expected in ROWS.items():
        try:
            table = parquet.read_table(raw / f"{split}.parquet", columns=["text", "label"])
        except (OSError, pa.ArrowException) as error:
            raise ValueError(f"the emotion data's {split} file cannot be read ({error}); it was not used") from error
        if table.num_rows != expected:
            raise ValueError(f"the emotion data's {split} file has {table.num_rows} rows, expected {expected}")
        texts += table["text"].to_pylist()
        labels += [LABELS[number] for number in table["label"].to_pylist()]
        splits += [split] * expected
    return texts, labels, splits
