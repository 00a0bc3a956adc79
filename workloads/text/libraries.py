"""The docstrings of ten pinned libraries, each to be told by the library that it documents.

The libraries' names are masked in all texts, so that neither a name nor the lack of one gives a text away. Which
versions the texts are of is kept with them: another version of a library makes another version of the data.
"""

import csv
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from workloads.sdk.contract import Fetched
from workloads.sdk.kits.texts import docstrings

# Each library's top package, and the names that it goes by (regular expressions, any case).
LIBRARIES = {
    "dagster": ("dagster", ("dagster",)),
    "matplotlib": ("matplotlib", ("matplotlib", r"\bmpl\b", "pyplot", r"\bplt\b", r"\bpylab\b")),
    "mlflow": ("mlflow", ("ml ?flow",)),
    "networkx": ("networkx", ("networkx", r"\bnx\b")),
    "pandas": ("pandas", ("pandas", r"\bpd\b")),
    "scikit-learn": ("sklearn", (r"scikit[- ]?learn", "sklearn", r"\bscikits?\b")),
    "scipy": ("scipy", ("scipy",)),
    "sqlalchemy": ("sqlalchemy", ("sql ?alchemy",)),
    "streamlit": ("streamlit", ("streamlit", r"\bst(?=\.)")),
    "sympy": ("sympy", ("sympy",)),
}
NAMES = re.compile("|".join(name for _, names in LIBRARIES.values() for name in names), re.IGNORECASE)
MASK = "library"
EACH = 1000  # texts of one library
VERSIONS = "versions.json"


def fetch(out: Path) -> Fetched:
    """Put the texts into `out` as a CSV file, and the libraries' versions beside it.

    Raises:
        ValueError: a library is not installed.
    """
    versions: dict[str, str] = {}
    with (out / docstrings.FILE).open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["text", "target"])
        for library, (package, _) in LIBRARIES.items():
            versions[library], found = docstrings.of_library(library, package)
            writer.writerows([text, library] for text in islice(_masked(found), EACH))
    (out / VERSIONS).write_text(json.dumps(versions))
    return Fetched(source="docstrings", uri=", ".join(f"{name}=={version}" for name, version in versions.items()))


def _masked(found: Iterator[docstrings.Docstring]) -> Iterator[str]:
    """Different texts, with the libraries' names masked."""
    seen = set()
    for each in found:
        text = NAMES.sub(MASK, each.text)
        if text not in seen:
            seen.add(text)
            yield text
