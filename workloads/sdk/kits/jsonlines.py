"""Files that people write by hand, one JSON object a line, read so that a wrong line is named."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Line = TypeVar("Line", bound=BaseModel)


def read(file: Path, kind: type[Line]) -> Iterator[tuple[str, Line]]:
    """What each line holds, with where it stands ("a.jsonl, line 3"); empty lines are passed over.

    Raises:
        ValueError: a line is not of that kind, or the file is not UTF-8; the message says where.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file.name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{file.name}, line {number}"
        try:
            yield place, kind.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            raise ValueError(f"{place}: {where + ': ' if where else ''}{problem['msg']}") from None
