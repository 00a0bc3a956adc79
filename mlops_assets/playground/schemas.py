"""From the JSON schema of a request to the fields of a form, for one row."""

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_assets.playground.forms import LONGEST_TEXT, Field, Place, value_at

MOST_NUMBERS = 64  # single fields for a row of numbers; a longer one is typed as JSON
LARGEST_PICTURE = 512  # lines, columns


def fields_of(schema: Mapping[str, Any], example: Mapping[str, Any]) -> list[Field]:
    """The fields of a request's schema, for one row. `example` says how long a row is where the schema does not."""
    return list(_object(schema, (), example, schema))


def _object(schema: Mapping[str, Any], place: Place, example: Any, root: Mapping[str, Any]) -> Iterator[Field]:
    others = {
        name
        for option in schema.get("oneOf", ())  # of several ways to say it, the one of the example
        for name in option.get("required", ())
        if isinstance(example, Mapping) and name not in example
    }
    for name, each in schema.get("properties", {}).items():
        if name in others:
            continue
        required = name in schema.get("required", ())
        yield from _property(each, (*place, name), value_at(example, (name,)), root, required)


def _property(
    schema: Mapping[str, Any], place: Place, example: Any, root: Mapping[str, Any], required: bool = True
) -> Iterator[Field]:
    schema, nullable = _resolved(schema, root)
    if len(options := schema.get("anyOf", ())) > 1:  # one of several forms: that of the example
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        resolved = [_resolved(option, root)[0] for option in options]
        schema = {**next((option for option in resolved if _fits(option, example)), resolved[0]), **rest}
    about: dict[str, Any] = {
        "title": str(schema.get("title", place[-1])).replace("_", " "),
        "description": schema.get("description", ""),
        "required": required and not nullable,
        "default": schema.get("default"),
    }
    if schema.get("type") == "array" and len(place) == 1:
        yield from _row(schema, (*place, 0), value_at(example, (0,)), root, about)
    else:
        yield from _value(schema, place, example, root, about, place)


def _row(
    schema: Mapping[str, Any], place: Place, example: Any, root: Mapping[str, Any], about: dict[str, Any]
) -> Iterator[Field]:
    """The fields of the first of the rows, of the form that the example has where there are several."""
    items, _ = _resolved(schema.get("items", {}), root)
    options = items.get("anyOf", [items])
    pictures = [field for option in options if (field := _picture(option, place, about))]
    fitting = next((option for option in options if _fits(option, example)), None)
    items = fitting or options[0]
    same_size = (field for field in pictures if _pixels(field) == _pixels(example))
    if picture := next(same_size, None if fitting else next(iter(pictures), None)):
        yield picture
    else:
        yield from _value(items, place, example, root, about, place[:-1])


def _value(
    schema: Mapping[str, Any], place: Place, example: Any, root: Mapping[str, Any], about: dict[str, Any], whole: Place
) -> Iterator[Field]:
    """The fields of a value; what none is made for is typed as JSON, for the place `whole`."""
    kind = schema.get("type")
    if "enum" in schema or "const" in schema:
        yield Field(place, "choice", choices=tuple(schema.get("enum", [schema.get("const")])), **about)
    elif kind == "string":
        longest = min(int(schema.get("maxLength", LONGEST_TEXT)), LONGEST_TEXT)
        yield Field(place, "text", longest=longest, **about)
    elif kind == "boolean":
        yield Field(place, "switch", **about)
    elif kind in ("number", "integer"):
        yield Field(place, kind, **_bounds(schema), **about)
    elif kind == "object" and schema.get("properties"):
        yield from _object(schema, place, example, root)
    else:
        yield from _numbers(schema, place, example) or [Field(whole, "json", **about)]


def _numbers(schema: Mapping[str, Any], place: Place, example: Any) -> list[Field]:
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


def _pixels(of: Any) -> int:
    """Numbers of a picture's field or of an example of one, flat or in lines; 0 where there is none."""
    if isinstance(of, Field):
        return of.shape[0] * of.shape[1] if of.shape else 0
    lines = of if isinstance(of, list) else []
    return sum(len(line) if isinstance(line, list) else 1 for line in lines)


def _bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "minimum": schema.get("minimum", schema.get("exclusiveMinimum")),
        "maximum": schema.get("maximum", schema.get("exclusiveMaximum")),
    }


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """A schema with its reference followed and `null` taken off, and whether that was there."""
    for _ in range(8):  # references to references; an endless circle is no form
        if "$ref" not in schema:
            break
        name = str(schema["$ref"]).rpartition("/")[2]
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**root.get("$defs", {}).get(name, {}), **rest}
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1 and len(schema["anyOf"]) == 2:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**_resolved(options[0], root)[0], **rest}, True
    return schema, False


def _fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value has the type that a schema asks for, and a list the length, down to its first items."""
    if "anyOf" in schema:
        return any(_fits(option, value) for option in schema["anyOf"])
    if isinstance(value, list):
        bounds = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return schema.get("type") == "array" and bounds and (not value or _fits(schema.get("items") or {}, value[0]))
    kinds = {"string": str, "boolean": bool, "object": dict, "integer": int, "number": int | float, "null": type(None)}
    return isinstance(value, kinds.get(schema.get("type", ""), object)) and schema.get("type") != "array"
