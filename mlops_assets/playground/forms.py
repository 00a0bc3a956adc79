"""From the JSON schema of a request to the fields of a form, and from what was filled in to a request's body.

A form asks for one row. Each field knows the place of its value in the body, for example `("features", 0, 3)`: so the
endpoint's example fills the form, the body is put together, and the endpoint's error finds its field, all by places.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

Place = tuple[str | int, ...]
Kind = Literal["number", "integer", "text", "choice", "switch", "picture", "json"]

MOST_NUMBERS = 64  # single fields for a row of numbers; a longer one is typed as JSON
LARGEST_PICTURE = 512  # lines, columns
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


def fields_of(schema: Mapping[str, Any], example: Mapping[str, Any]) -> list[Field]:
    """The fields of a request's schema, for one row. `example` says how long a row is where the schema does not."""
    return list(_object(schema, (), example, schema))


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


# --- one schema after the other ---


def _object(schema: Mapping[str, Any], place: Place, example: Any, root: Mapping[str, Any]) -> Iterator[Field]:
    for name, each in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        yield from _property(each, (*place, name), _inside(example, name), root, required)


def _property(
    schema: Mapping[str, Any], place: Place, example: Any, root: Mapping[str, Any], required: bool = True
) -> Iterator[Field]:
    schema, nullable = _resolved(schema, root)
    about: dict[str, Any] = {
        "title": str(schema.get("title", place[-1])).replace("_", " "),
        "description": schema.get("description", ""),
        "required": required and not nullable,
        "default": schema.get("default"),
    }
    if simple := _simple(schema, place, about):
        yield simple
    elif schema.get("type") == "object" and schema.get("properties"):
        yield from _object(schema, place, example, root)
    elif schema.get("type") == "array" and len(place) == 1:
        yield from _row(schema, (*place, 0), _inside(example, 0), root, about)
    elif schema.get("type") == "array" and (numbers := _numbers(schema, place, example, about)):
        yield from numbers
    else:
        yield Field(place, "json", **about)


def _row(
    schema: Mapping[str, Any], place: Place, example: Any, root: Mapping[str, Any], about: dict[str, Any]
) -> Iterator[Field]:
    """The fields of the first of the rows."""
    items, _ = _resolved(schema.get("items", {}), root)
    options = items.get("anyOf", [items])
    if picture := next(filter(None, (_picture(option, place, about) for option in options)), None):
        yield picture
    elif simple := _simple(items, place, about):
        yield simple
    elif items.get("type") == "object" and items.get("properties"):
        yield from _object(items, place, example, root)
    elif numbers := _numbers(items, place, example, about):
        yield from numbers
    else:
        yield Field(place[:-1], "json", **about)


def _simple(schema: Mapping[str, Any], place: Place, about: dict[str, Any]) -> Field | None:
    kind, bounds = schema.get("type"), _bounds(schema)
    if "enum" in schema or "const" in schema:
        return Field(place, "choice", choices=tuple(schema.get("enum", [schema.get("const")])), **about)
    if kind == "string":
        longest = min(int(schema.get("maxLength", LONGEST_TEXT)), LONGEST_TEXT)
        return Field(place, "text", longest=longest, **about)
    if kind == "boolean":
        return Field(place, "switch", **about)
    if kind in ("number", "integer"):
        return Field(place, kind, **bounds, **about)
    return None


def _numbers(schema: Mapping[str, Any], place: Place, example: Any, about: dict[str, Any]) -> list[Field]:
    """A field for each number of a row that is short enough; named where the schema names them."""
    columns = list(schema.get("prefixItems", ()))
    if not columns:
        length = schema.get("maxItems") or (len(example) if isinstance(example, list) else 0)
        columns = [schema.get("items", {})] * length if schema.get("items") else []
    if not 0 < len(columns) <= MOST_NUMBERS or any(one.get("type") not in ("number", "integer") for one in columns):
        return []
    return [
        Field((*place, at), column["type"], str(column.get("title", at + 1)), column.get("description", ""),
              **_bounds(column))
        for at, column in enumerate(columns)
    ]  # fmt: skip


def _picture(schema: Mapping[str, Any], place: Place, about: dict[str, Any]) -> Field | None:
    """A picture: lines of numbers, of fixed lengths and with bounds."""
    line = schema.get("items", {})
    pixel = line.get("items", {}) if isinstance(line, dict) else {}
    height, width = schema.get("maxItems"), line.get("maxItems") if isinstance(line, dict) else None
    if not (height and width and max(height, width) <= LARGEST_PICTURE and {"minimum", "maximum"} <= {*pixel}):
        return None
    return Field(
        place, "picture", shape=(height, width), whole=pixel.get("type") == "integer", **_bounds(pixel), **about
    )


def _bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "minimum": schema.get("minimum", schema.get("exclusiveMinimum")),
        "maximum": schema.get("maximum", schema.get("exclusiveMaximum")),
    }


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """A schema with its reference followed and `null` taken off, and whether that was there."""
    for _ in range(8):  # references to references; an endless circle is no form
        if "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**root.get("$defs", {}).get(name, {}), **rest}
            continue
        options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
        if len(options) == 1 and len(schema["anyOf"]) == 2:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return {**_resolved(options[0], root)[0], **rest}, True
        if len(schema.get("allOf", ())) == 1:
            schema = {**schema["allOf"][0], **{key: value for key, value in schema.items() if key != "allOf"}}
            continue
        break
    return schema, False


def _inside(example: Any, part: str | int) -> Any:
    try:
        return example[part]
    except (KeyError, IndexError, TypeError):
        return None
