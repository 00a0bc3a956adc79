"""DistilBERT as its authors published it (Sanh et al., 2019; Apache-2.0), from the hub, each file verified."""

import hashlib
from pathlib import Path
from typing import Any

from workloads.sdk.dataset import download

REVISION = "12040accade4e8a0f71eabdb258fecc2e7e948be"
URL = f"https://huggingface.co/distilbert/distilbert-base-uncased/resolve/{REVISION}"
FILES = {
    "model.safetensors": "5e3f1108e3cb34ee048634875d8482665b65ac713291a7e32396fb18f6ff0063",
    "tokenizer.json": "ce64fce797c24f68df90b40a3f74f579b336a493db14bd583fd520ea0d8c9a98",
}
SIZES = {"width": 768, "heads": 12, "hidden": 3072, "layers": 6, "positions": 512}
SLOWER = 20  # pretrained weights take so much smaller a learning rate than fresh ones


def fetch(folder: Path) -> None:
    """Put the published files into `folder`, where they are not yet.

    Raises:
        ConnectionError: the hub is away; no other network takes its place.
        ValueError: a file is not what was published.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, expected in FILES.items():
        if (folder / name).is_file():
            continue
        try:
            content = download(f"{URL}/{name}")
        except ConnectionError as error:
            raise ConnectionError(f"{error}; try again later, or say --network small") from error
        if (actual := hashlib.sha256(content).hexdigest()) != expected:
            raise ValueError(f"{URL}/{name} has sha256 {actual}, expected {expected}; it was not used")
        partial = folder / f"{name}.part"
        partial.write_bytes(content)
        partial.rename(folder / name)


def tokenizer(folder: Path, length: int) -> Any:
    """The published tokenizer, which reads `length` tokens of a text."""
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found.no_padding()
    found.enable_truncation(length)
    return found


def weights(folder: Path) -> dict[str, Any]:
    """The published weights, without the head that guessed words."""
    from safetensors.torch import load_file

    return {n: w for n, w in load_file(folder / "model.safetensors").items() if n.startswith("distilbert.")}
