"""Which documents a corpus is made of; nothing heavy is imported, so that the declaration may name it.

mlops data release corpus                                        this project's, and Python's
mlops data release corpus --set libraries='["dagster", "mlflow"]'   libraries' too
mlops data release corpus --set python=false                         without one source: another version
mlops data release corpus --set folders='["/home/me/notes"]' --set repositories='["https://host/team/docs.git"]'
"""

import re
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from workloads.sdk.contract import DataParameters

ROOT = Path(__file__).resolve().parents[2]  # in an installed copy, no checkout
ALL = "all"
LIBRARIES = {  # each pinned distribution's package
    "dagster": "dagster",
    "dvc": "dvc",
    "langchain-core": "langchain_core",
    "lightning": "lightning",
    "matplotlib": "matplotlib",
    "mlflow": "mlflow",
    "networkx": "networkx",
    "numpy": "numpy",
    "pandas": "pandas",
    "pydantic": "pydantic",
    "ray": "ray",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "sqlalchemy": "sqlalchemy",
    "streamlit": "streamlit",
    "sympy": "sympy",
    "torch": "torch",
    "transformers": "transformers",
}
LOOKED_AT: Any = {"fetch": "always"}  # what such a parameter names may hold something else than the last time
REPOSITORY = re.compile(r"(?:https://[^\s@]+|ssh://[^\s:]+@[^\s]+|[\w.-]+@[\w.-]+:[^\s]+|/[^\s]+)")


class CorpusData(DataParameters):
    """What makes one version of the corpus differ from another."""

    project: Path | None = Field(
        ROOT if (ROOT / "README.md").is_file() else None,
        description="This project's checkout: its README, docs, settings and commands. null: without.",
        json_schema_extra=LOOKED_AT,
    )
    python: bool = Field(
        True,
        description="CPython's language reference (pydoc_data.topics), and docstrings of its standard library.",
        json_schema_extra=LOOKED_AT,
    )
    libraries: tuple[str, ...] = Field(
        (),
        description=f"Docstrings of installed libraries, a document for each module: {', '.join(LIBRARIES)}; or all.",
        json_schema_extra=LOOKED_AT,
    )
    folders: tuple[Path, ...] = Field(
        (), description="Folders of Markdown and text in UTF-8 (.md, .markdown, .txt).", json_schema_extra=LOOKED_AT
    )
    repositories: tuple[str, ...] = Field(
        (),
        description="Git repositories, cloned for their Markdown and text: https://, ssh://, user@host:path or /path.",
        json_schema_extra=LOOKED_AT,
    )
    asked: Path | None = Field(
        Path(__file__).with_name("asked.jsonl"),
        description="File of questions that sections answer, in the words of those who ask: one JSON object a line, "
        "with path, heading and asked. What names no document of the corpus is left out. null: none.",
        json_schema_extra=LOOKED_AT,
    )
    most: int | None = Field(
        None,
        ge=1,
        description="Most documents of one source, the same ones each time; null: all.",
        json_schema_extra=LOOKED_AT,
    )

    @field_validator("libraries")
    @classmethod
    def _libraries_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - {*LIBRARIES, ALL}):
            raise ValueError(f"{unknown[0]} is none of {', '.join(LIBRARIES)}, {ALL}")
        return tuple(LIBRARIES) if ALL in value else value

    @field_validator("repositories")
    @classmethod
    def _repositories_are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            if not REPOSITORY.fullmatch(address):
                # The registry keeps the parameters: a password in an address would be kept there for all to read.
                raise ValueError(f"{address.rpartition('@')[2]!r} is no address of a Git repository without password")
        return value
