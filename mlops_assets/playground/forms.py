"""The fields of a form, and from what was filled in to a request's body; `schemas.py` makes them of a JSON schema.

A form asks for one row. Each field knows the place of its value in the body, for example `("features", 0, 3)`: so the
endpoint's example fills the form, the body is put together, and the endpoint's error finds its field, all by places.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

Place = tuple[str | int, ...]
Kind = Literal["number", "integer", "text", "choice", "switch", "picture", "json"]

LONGEST_TEXT = 10_000  # characters, where the schema sets no bound


@dataclass(frozen=True)
class Field:
    """One thing to fill in.

    Attributes:
        place: where its value stands in the request's body.
        kind: what it takes; `json` is typed as text.
        title, description: for people.
        minimum, maximum: bounds of a number, or of each pixel.
        longest: characters of a text.
        shape: lines and columns of a picture.
        whole: whether pixels are whole numbers.
        choices: the values of a choice.
        required: whether a body without it is refused.
        default: what the schema says it is without a value.
    """

    place: Place
    kind: Kind
    title: str
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    longest: int = LONGEST_TEXT
    shape: tuple[int, int] | None = None
    whole: bool = False
    choices: tuple[Any, ...] = ()
    required: bool = True
    default: Any = None

    @property
    def group(self) -> str:
        """The property of the body that it belongs to."""
        return str(self.place[0])


def value_at(body: Any, place: Place, row: int = 0) -> Any:
    """What stands at a place of a body, None where nothing does; `row` counts for lists of rows, round and round."""
    for depth, part in enumerate(place):
        try:
            body = body[row % len(body)] if depth == 1 and part == 0 and isinstance(body, list) else body[part]
        except (KeyError, IndexError, TypeError, ZeroDivisionError):
            return None
    return body


def body_of(values: Mapping[Place, Any]) -> dict[str, Any]:
    """A request's body with these values at their places; indices count on from 0."""
    body: dict[str, Any] = {}
    for place, value in values.items():
        at: Any = body
        for part, following in pairwise(place):
            empty: Any = [] if isinstance(following, int) else {}
            if isinstance(part, int):
                if part == len(at):
                    at.append(empty)
                at = at[part]
            else:
                at = at.setdefault(part, empty)
        if isinstance(place[-1], int):
            at.append(value)
        else:
            at[place[-1]] = value
    return body


def place_of(error_field: str | None) -> Place:
    """`features[0][7]` as a place; empty where there is none."""
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", error_field or "")
    return tuple(int(number) if number else name for number, name in parts)


def concerned(fields: Sequence[Field], error_field: str | None) -> Field | None:
    """The field that an endpoint's error is about: the one at the error's place, or the first that lies around it."""
    wanted = place_of(error_field)
    if not wanted:
        return None
    within = (field for field in fields if wanted[: len(field.place)] == field.place)
    around = (field for field in fields if field.place[: len(wanted)] == wanted)
    return next(within, None) or next(around, None)
