"""How a document of the corpus is cut."""

import json
from collections.abc import Mapping
from typing import Any

from workloads.corpus.workload import CorpusParameters
from workloads.sdk.kits.retrieval.chunking import Chunk, chunks_of


def chunk(document: Mapping[str, Any], parameters: CorpusParameters) -> list[Chunk]:
    """A document's chunks, in its order; see `kits/chunking.py`."""
    return chunks_of(document, parameters.size, json.loads(document.get("asked", "{}")))
