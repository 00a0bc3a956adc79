"""What people ask whom a section answers, in words that it does not have.

Somebody who writes "yesterday's model was better" shares no word with a section about rollback. Each line of a file
names a section, by its document's path and its path of headings, and some ways of asking for it. They are embedded with
the section's chunks, and never quoted: Nogueira et al., "Document expansion by query prediction", 2019. `asked.jsonl`
is this project's own, about its documentation and Python's.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from workloads.sdk.kits import jsonlines

Asked = dict[str, dict[str, tuple[str, ...]]]  # questions by document and path of headings


class Section(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1)
    heading: str = Field(min_length=1)
    asked: tuple[str, ...] = Field(min_length=1, max_length=100)


def read(file: Path | None) -> Asked:
    """All that a file of JSON lines holds; nothing of None.

    Raises:
        ValueError: the file is not there, or names a line that is wrong or whose section stands there twice.
    """
    found: Asked = {}
    if file is None:
        return found
    if not file.is_file():
        raise ValueError(f"asked={file} is no file; name one, or set asked=null")
    for place, section in jsonlines.read(file, Section):
        sections = found.setdefault(section.path, {})
        if section.heading in sections:
            raise ValueError(f"{place}: {section.path} > {section.heading} stands there already")
        sections[section.heading] = section.asked
    return found
