"""What the columns of a table most likely hold, told from their cells; and why, for people to look over.

Nothing is guessed silently: each column gets a kind of `columns.py`, the reason, and what becomes of it. A person's
word (`kinds`) goes before all of it.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from workloads.sdk.kits.tables.cells import Cells
from workloads.sdk.kits.tables.column import Column, missing, short
from workloads.sdk.kits.tables.columns import LARGEST, Boolean, Category, Identifier, LeftOut, Number, Text
from workloads.sdk.kits.tables.dates import ISO, Date, moment
from workloads.sdk.kits.words import length

KINDS = ("number", "boolean", "category", "date", "text", "identifier", "out")
BUCKETS = 64  # of a text that is learned from
NEARLY_EMPTY = 0.95  # share of missing cells from which on a column is left out
NEARLY_UNIQUE = 0.9  # share of different texts from which on they are names
ONE_WAY, EVENLY = 0.99, 0.99  # share of steps, and correlation with the row, of numbers that count rows
SENTENCE = 4  # words on average, from which on texts are no names of anything
LARGEST_WHOLE = 2**53  # from here on not every whole number is a double
SHOWN = 3
PAIRS = {
    ("yes", "no"), ("y", "n"), ("true", "false"), ("t", "f"), ("on", "off"), ("1", "0"), ("ja", "nein"), ("j", "n"),
    ("wahr", "falsch"), ("oui", "non"), ("o", "n"), ("vrai", "faux"), ("si", "no"), ("sí", "no"), ("s", "n"),
    ("verdadero", "falso"), ("sim", "não"), ("vero", "falso"), ("ja", "nee"), ("ja", "nej"), ("tak", "nie"),
    ("да", "нет"), ("evet", "hayır"), ("はい", "いいえ"), ("是", "否"), ("✓", "✗"), ("✔", "✘"), ("+", "-"), ("x", "o"),
}  # fmt: skip
NAMED_ID = re.compile(r"(^|[\W_])(id|uuid|guid|key|nr|no|serial|index|rowid)\.?$|[a-z](Id|ID)$", re.IGNORECASE)
# A letter before digits makes a name of them, as in T000123; so only signs and codes of currencies may stand there.
AFFIXED = re.compile(
    r"[-+(\N{MINUS SIGN}]?(?P<before>[^\w\s.,()+-]{1,2}|[A-Z]{3}(?=\s)|)\s*[-+\N{MINUS SIGN}]?"
    r"[\d.,' \u00a0\u202f’]*\d[.,]?(?:[eE][-+]?\d+)?\s*(?P<behind>[^\d\s.,()+-]{0,5})-?\)?"
)
CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
DAYS = ("%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d",
        "%Y.%m.%d", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%Y%m%d")  # fmt: skip
FORMATS = (*DAYS, *(f"{day} {clock}" for day, clock in product(DAYS, CLOCKS)))


class BeyondFloat(ValueError):
    """A number that no model can be given: `cell` holds one that float32 has no place for."""

    def __init__(self, cell: str):
        super().__init__(f"is {short(cell)}, beyond the largest number that float32 holds")
        self.cell = cell


@dataclass(frozen=True)
class Understood:
    """A column, what it is taken for, and why.

    Attributes:
        column: how its cells are read, what is learned from them, and why it is taken for that.
        missing: share of rows without a value.
        examples: some cells as the file has them.
        read: what becomes of it, where its column does not say.
        alone: share of what there is to tell that the column tells alone (`telling.py`), where that is known.
    """

    name: str
    column: Column
    missing: float
    examples: tuple[str, ...]
    read: str = ""
    alone: float | None = None

    @property
    def becomes(self) -> str:
        """What a model makes of it, for people."""
        return self.read or self.column.becomes

    def facts(self) -> dict[str, object]:
        """For people and programs: what was understood, in words."""
        return {
            "column": self.name,
            "kind": self.column.kind,
            "missing": round(self.missing, 4),
            "examples": list(self.examples),
            "becomes": self.becomes,
            "why": self.column.why,
            "tells_alone": self.alone,
        }


def understand(table: Cells, target: str | None = None, kinds: Mapping[str, str] | None = None) -> list[Understood]:
    """Each column but the target, in the order of the file.

    Args:
        kinds: what a person says that columns are: one of `KINDS`; for a date also `date:<format>`.

    Raises:
        ValueError: a name is of no column, a kind is none, a column cannot be read as what a person says it is, or
            holds a number that no model can be given.
    """
    asked = dict(kinds or {})
    for name in asked:
        table.column(name)
    decimal, found = decimal_sign(table), []
    for name in table.header:
        if name != target:
            try:
                made = _asked(table, name, asked[name], decimal) if name in asked else _found(table, name, decimal)
            except BeyondFloat as error:
                line = table.lines[table.column(name).index(error.cell)]
                raise ValueError(
                    f"{table.name}, line {line}: {name!r} {error}; mend it, or say --column '{name}=out'"
                ) from None
            found.append(described(table, name, made))
    return found


def described(table: Cells, name: str, column: Column) -> Understood:
    """A column of a file that is taken for `column`. Raises ValueError where the file has none of this name."""
    counts, share = _counted(table, name)
    return Understood(name, column, share, tuple(cell for cell, _ in counts.most_common(SHOWN)))


def _counted(table: Cells, name: str) -> tuple[Counter[str], float]:
    """How often each value stands in a column, and the share of cells without one."""
    cells = table.column(name)
    counts = Counter(cell for cell in cells if not missing(cell))
    return counts, 1 - sum(counts.values()) / len(cells) if cells else 1.0


def _asked(table: Cells, name: str, asked: str, decimal: str | None) -> Column:
    counts, _ = _counted(table, name)
    kind, _, written = asked.partition(":")
    made: Column | None
    match kind:
        case "number":
            made = number(counts, decimal)
        case "boolean":
            made = boolean(counts) or _two(counts)
        case "date":
            made = _dated(counts, written) if written else date(counts)
        case "category" | "identifier":
            made = Category() if kind == "category" else Identifier()
        case "text":
            made = Text(BUCKETS)
        case "out":
            made = LeftOut()
        case _:
            raise ValueError(f"{name}={asked}: a column is one of {', '.join(KINDS)}, or date:%d.%m.%Y and the like")
    if made is None:
        few = ", ".join(map(repr, list(counts)[:SHOWN]))
        raise ValueError(f"{table.name}: the column {name!r} cannot be read as {asked}; it holds {few} and the like")
    return replace(made, why="as asked for")


def _found(table: Cells, name: str, decimal: str | None) -> Column:
    counts, share = _counted(table, name)
    rows = sum(counts.values())
    if share >= NEARLY_EMPTY:
        return LeftOut(why=f"{share:.1%} of its cells are empty" if rows else "no cell holds a value")
    if len(counts) == 1 and not share:
        return LeftOut(why=f"the same in all rows: {next(iter(counts))[:40]!r}")
    if made := boolean(counts):
        return replace(made, why=f"only {made.true!r} and {made.false!r}")
    if dated := date(counts):
        return replace(dated, why=_date_why(dated, counts))
    if all(re.fullmatch(r"[#№]?\s?[0-9]+", cell) for cell in counts):
        if any(re.search(r"(?<![0-9])0[0-9]", cell) for cell in counts):
            return Identifier(why="digits with leading zeros are names")
        if named := _numbered(name, [cell for cell in table.column(name) if not missing(cell)]):
            return Identifier(why=named)
    if numeric := number(counts, decimal):
        return replace(numeric, why=_number_why(numeric, counts))
    words = sum(length(cell) * count for cell, count in counts.items()) / rows
    if words >= SENTENCE and len(counts) > rows / 2:
        return Text(why=f"free text, {words:.0f} words on average")
    if len(counts) >= NEARLY_UNIQUE * rows and rows > 1:
        return Identifier(why=f"{len(counts)} different texts in {rows} rows are names")
    repeated = sum(count for count in counts.values() if count > 1)
    if repeated < rows / 2:
        return Identifier(why=f"most of its {len(counts)} texts stand in one row only")
    return Category(why=f"{len(counts)} different texts")


# --- each kind ------------------------------------------------------------------------------------------------------


def boolean(counts: Mapping[str, int]) -> Boolean | None:
    """Two spellings of yes and no, whatever their case."""
    spelled = {cell.lower(): cell for cell in sorted(counts, reverse=True)}
    pair = next((pair for pair in sorted(PAIRS) if set(pair) == set(spelled)), None)
    return Boolean(*(spelled[word] for word in pair)) if pair else None


def _two(counts: Mapping[str, int]) -> Boolean | None:
    """Any two words: the first in the alphabet is false."""
    return Boolean(*sorted(counts, reverse=True)) if len(counts) == 2 else None


def number(counts: Mapping[str, int], decimal: str | None = None) -> Number | None:
    """The way of writing by which all cells are numbers; the values' range with room around it.

    Args:
        decimal: the decimal sign of the file's other columns, for cells such as `1,234` that may be either.

    Raises:
        BeyondFloat: all are numbers, and one is too large.
    """
    affixes: set[str] = {_affix(cell) for cell in counts}
    affix = max(affixes, default="")
    if len(affixes - {""}) > 1 or (affix[-1:].isalpha() and "" in affixes):
        return None
    if any(re.match(r"\D*0[0-9]", cell) for cell in counts):  # names, such as 0012
        return None
    ways = [Number(decimal=point, thousands=group, affix=affix)
            for point, group in ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"),
                                 (",", "'"), (".", "\u00a0"), (",", "\u00a0"), (".", "\u202f"), (",", "\u202f"),
                                 (".", "’"))]  # fmt: skip
    able = [way for way in ways if all(way.read(cell) is not None for cell in counts)]
    if not able:
        return None
    chosen = able[0]
    if _undecided(counts):  # 1,234 or 1.234 everywhere: what is between may group or divide
        sign = "," if any("," in cell for cell in counts) else "."
        grouped = decimal not in (None, sign)
        fits = (way for way in able if sign == (way.thousands if grouped else way.decimal))
        chosen = next(fits, chosen)
    values = {cell: value for cell in counts if (value := chosen.read(cell)) is not None}
    if beyond := next((cell for cell, value in values.items() if not abs(value) <= LARGEST), None):
        raise BeyondFloat(beyond)
    low, high = with_room(list(values.values()))
    return replace(chosen, low=low, high=high)


def date(counts: Mapping[str, int]) -> Date | None:
    """The way of writing by which all cells are dates."""
    if not all(re.search(r"[0-9]", cell) and 6 <= len(cell) <= 40 for cell in counts):
        return None
    for written in _formats(counts):
        if made := _dated(counts, written):
            return made
    return None


def _dated(counts: Mapping[str, int], written: str) -> Date | None:
    try:
        moments = [moment(cell, written) for cell in counts]
    except ValueError:
        return None
    if not all(1800 <= one.year <= 2200 for one in moments):
        return None
    by_hour = any((one.hour, one.minute, one.second) != (0, 0, 0) for one in moments)
    return Date(written, ("days", "month", "weekday", *(["hour"] if by_hour else [])))


def _formats(counts: Mapping[str, int]) -> Iterator[str]:
    """Those worth a try for all cells: the ones that fit a first cell."""
    first = next(iter(counts), "")
    if all(re.fullmatch(r"[0-9]+", cell) for cell in counts):
        yield from ["%Y%m%d"] if len(first) == 8 else []
        return
    for written in (ISO, *FORMATS):
        try:
            moment(first, written)
        except ValueError:
            continue
        yield written


def _date_why(found: Date, counts: Mapping[str, int]) -> str:
    pairs = {"%m/%d": "%d/%m", "%d/%m": "%m/%d", "%m-%d": "%d-%m", "%d-%m": "%m-%d", "%d.%m": "%m.%d"}
    swapped = next((found.written.replace(one, other) for one, other in pairs.items() if one in found.written), "")
    why = "ISO dates" if found.written == ISO else f"dates written {found.written}"
    if swapped and "." not in swapped and _dated(counts, swapped):
        why += f"; {swapped} would fit too: --column 'NAME=date:{swapped}'"
    return why


def _number_why(found: Number, counts: Mapping[str, int]) -> str:
    if _undecided(counts):
        way = f"{found.thousands!r} groups" if found.thousands else f"{found.decimal!r} divides"
        return f"numbers, where {way} digits"
    return "whole numbers" if all(re.fullmatch(r"[-+]?[0-9]+", cell) for cell in counts) else "numbers"


def _numbered(name: str, cells: Sequence[str]) -> str | None:
    """Why whole numbers, in the order of the file, are names of rows, if they are."""
    values = [int(re.sub(r"\D", "", cell)) for cell in dict.fromkeys(cells)]
    if max(values) >= LARGEST_WHOLE:
        return "whole numbers beyond 2**53, of which a model's numbers would lose digits"
    if len(values) >= NEARLY_UNIQUE * len(cells) and len(values) > 20:
        low, high = min(values), max(values)
        if high - low < 1.1 * len(values) * math.gcd(*(value - low for value in values)):
            return "numbers of the rows"
        if _rise(values):
            return "whole numbers that rise or fall with the rows of the file, as their numbers do"
        if NAMED_ID.search(name.strip()):
            return "nearly unique, and named as a key"
    return None


def _rise(values: Sequence[int]) -> bool:
    """Whether numbers count rows of which some are gone: they go one way, and evenly."""
    steps = np.diff(values)
    one_way = max((steps > 0).mean(), (steps < 0).mean()) >= ONE_WAY
    return bool(one_way and abs(np.corrcoef(np.arange(len(values)), values)[0, 1]) >= EVENLY)


def _undecided(counts: Mapping[str, int]) -> bool:
    """Whether all cells with a sign in them could be of thousands or have three decimals: `1,234`."""
    marked = [cell for cell in counts if "," in cell or "." in cell]
    signs = {"," if "," in cell else "." for cell in marked}
    return len(signs) == 1 and all(
        re.search(r"(?<![0-9])[1-9][0-9]{0,2}[,.][0-9]{3}(?![0-9,.])", cell) for cell in marked
    )


def decimal_sign(table: Cells) -> str | None:
    """The decimal sign of those columns that leave no doubt, where they agree."""
    signs = set()
    for cells in table.columns.values():
        counts = Counter(cell for cell in cells if not missing(cell))
        doubtless = counts and not _undecided(counts) and any("," in cell or "." in cell for cell in counts)
        with suppress(BeyondFloat):
            if doubtless and (found := number(counts)) and any(found.decimal in cell for cell in counts):
                signs.add(found.decimal)
    return signs.pop() if len(signs) == 1 else None


def _affix(cell: str) -> str:
    """What stands before or behind a number: a sign such as `$` or `%`, a currency's code, or a unit behind it."""
    match = AFFIXED.fullmatch(cell)
    return match["before"] or match["behind"] or "" if match else ""


def with_room(values: list[float]) -> tuple[float, float]:
    """Smallest and largest value with room around them, as much as they span; what is never negative stays so."""
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    least = 0.0 if low >= 0 else max(rounded(low - span, math.floor), -LARGEST)
    return least, min(rounded(high + span, math.ceil), LARGEST)


def rounded(value: float, way: Callable[[float], int]) -> float:
    """A number of two digits, rounded up or down (`math.ceil`, `math.floor`)."""
    if abs(value) < 1e-300:  # ten to its exponent would be 0
        return value
    exponent = math.floor(math.log10(abs(value))) - 1
    digits = way(round(value / 10.0**exponent, 6))
    return float(f"{digits}e{exponent}")
