"""The corpus' pipeline: documents of all chosen sources, whole, in one file.

`documents.parquet` has the columns `row_id`, `path` (of no other document), `source`, `title`, `text`, `asked` (what is
asked by those whom a section answers: JSON, by path of headings). Cleaning and cutting belong to the embedding, so
that the data are what people wrote.
"""

import json
import platform
from collections.abc import Iterable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from workloads.corpus import asked, project, python, sources
from workloads.corpus.asked import Asked
from workloads.corpus.data_parameters import LIBRARIES, CorpusData
from workloads.corpus.documents import Document
from workloads.sdk.contract import Fetched
from workloads.sdk.dataset import ROW_ID, describe_splits, identity, read_split, write_split
from workloads.sdk.kits.texts import docstrings

SPLIT = "documents"
TOGETHER = 32  # documents of a row group, which one worker embeds at a time


def fetch(parameters: CorpusData, out: Path) -> Fetched:
    """Put a file of lines of JSON for each source into `out`.

    Raises:
        ConnectionError: a Git repository cannot be cloned.
        ValueError: a source is not there, or a file is no UTF-8 text; the message names it.
    """
    most, origins = parameters.most, {}
    keep = partial(_keep, out=out, questions=asked.read(parameters.asked))
    if parameters.project is not None:
        origins["docs"] = str(parameters.project) + keep(project.project(parameters.project, most))
    if parameters.python:
        reference = chain(python.language(most), python.library(most))
        origins["python"] = f"CPython {platform.python_version()}" + keep(reference)
    for library in parameters.libraries:
        version, modules = docstrings.modules(library, LIBRARIES[library], most)
        found = (Document(path, library, title, text) for path, title, text in modules)
        origins[library] = f"{library}=={version}" + keep(found)
    for folder in parameters.folders:
        origins[folder.name] = str(folder) + keep(sources.folder(folder, most))
    for address in parameters.repositories:
        commit, documents = sources.repository(address, most)
        origins[documents[0].source] = f"{address}@{commit}" + keep(documents)
    if not origins:
        raise ValueError("no source is chosen: set project, python, libraries, folders or repositories")
    return Fetched(source="+".join(origins), uri=", ".join(origins.values()))


def process(parameters: CorpusData, raw: Path, out: Path) -> None:
    """Write `documents.parquet`, in the order of paths. Raises ValueError where two documents have one path."""
    documents: dict[str, Document] = {}
    for file in sorted(raw.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            document = Document(**json.loads(line))
            if document.path in documents:
                raise ValueError(f"two documents have the path {document.path}; rename one of the folders")
            documents[document.path] = document
    rows = [documents[path] for path in sorted(documents)]
    questions = [json.dumps(row.asked) for row in rows]
    ids = [
        identity(*(part.encode() for part in (row.path, row.text, said)))
        for row, said in zip(rows, questions, strict=True)
    ]
    columns = {name: [getattr(row, name) for row in rows] for name in Document._fields} | {"asked": questions}
    write_split({ROW_ID: ids, **columns}, out / f"{SPLIT}.parquet", TOGETHER)


def describe(parameters: CorpusData, processed: Path) -> dict[str, Any]:
    """Schema, number of documents, and of each source documents and characters."""
    import pyarrow.compute as pc

    table = read_split(processed / f"{SPLIT}.parquet", ["source", "text"])
    table = table.append_column("characters", pc.utf8_length(table["text"]))
    grouped = table.group_by("source").aggregate([("characters", "count"), ("characters", "sum")]).to_pylist()
    found = {
        each["source"]: {"documents": each["characters_count"], "characters": each["characters_sum"]}
        for each in sorted(grouped, key=lambda each: each["source"])
    }
    return {**describe_splits(processed), "sources": found}


def schema() -> Any:
    """What the documents must satisfy (a pandera `DataFrameSchema`)."""
    import pandera.pandas as pa

    text = pa.Check.str_length(min_value=1)
    return pa.DataFrameSchema(
        {
            ROW_ID: pa.Column(str, pa.Check.str_matches(r"^[0-9a-f]{64}$"), unique=True),
            "path": pa.Column(str, pa.Check.str_length(1, 1000), unique=True),
            "source": pa.Column(str, pa.Check.str_length(1, 100)),
            "title": pa.Column(str),
            "text": pa.Column(str, text),
            "asked": pa.Column(str, text, required=False),  # versions made before it have none
        },
        strict=True,
    )


def _keep(documents: Iterable[Document], out: Path, questions: Asked) -> str:
    """Append to the file of the documents' source, with what is asked of them.

    Returns what is to be said of those that have no text, and are left out.
    """
    empty = 0
    for document in documents:
        if not document.text.strip():
            empty += 1
            continue
        with (out / f"{document.source}.jsonl").open("a") as stream:
            told = document._replace(asked=questions.get(document.path, {}))
            stream.write(json.dumps(told._asdict(), ensure_ascii=True) + "\n")
    return f" ({empty} without text left out)" if empty else ""
