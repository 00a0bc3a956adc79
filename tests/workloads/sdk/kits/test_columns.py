"""What columns hold is understood as a person would, and a cell means the same in a file, a split and a request."""

import json
import random
from collections import Counter
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.sdk.kits.tables.cells import Cells
from workloads.sdk.kits.tables.column import Column, WrongCell
from workloads.sdk.kits.tables.columns import Boolean, Category, Identifier, Number, Text, column_of
from workloads.sdk.kits.tables.dates import Date
from workloads.sdk.kits.tables.understand import DAYS, Understood, date, number, understand

R = random.Random(5)
WORDS = ["normal", "Öko", "Boost, nachts", "aus"]
# What stands in a column, and what it must be taken for.
COLUMNS = {
    "number": [[f"{R.gauss(9, 8):.1f}".replace(".", ",") for _ in range(200)],
               [f"{R.uniform(5, 4000):,.2f}" for _ in range(200)], [f"{R.randrange(101)} %" for _ in range(200)],
               [f"$ {R.randrange(9000)}" for _ in range(200)], [f"{R.random():.3f}" for _ in range(190)] + ["NA"] * 10,
               [f"({R.random() + 1:.2f})" if R.random() < 0.3 else f"{R.random() + 1:.2f}" for _ in range(200)],
               [f"{R.gauss(0, 1e-9):e}" for _ in range(200)], [str(R.randrange(10**6)) for _ in range(200)],
               [f"{R.randrange(10**7):,}".replace(",", "'") for _ in range(200)],
               [f"{R.uniform(1, 5):.1f} kg" for _ in range(200)], [f"EUR {R.randrange(50)}" for _ in range(200)]],
    "boolean": [[R.choice(pair) for _ in range(200)] for pair in
                [("ja", "nein"), ("YES", "no"), ("0", "1"), ("True", "False"), ("да", "нет"), ("✓", "✗")]],
    "category": [[R.choice(WORDS) for _ in range(200)], [R.choice(["0012", "12", "1e5", "A7"]) for _ in range(200)],
                 [R.choice(["EU", "US", ""]) for _ in range(200)], [R.choice(["m", "f"]) for _ in range(200)]],
    "date": [[f"{R.randrange(1, 29):02}.{R.randrange(1, 13):02}.2025" for _ in range(200)],
             [f"2026-03-{R.randrange(1, 29):02}T0{R.randrange(9)}:00:00+01:00" for _ in range(200)],
             [f"{R.randrange(1, 13)}/{R.randrange(1, 29)}/2025 11:15 PM" for _ in range(200)],
             [f"2025{R.randrange(1, 13):02}{R.randrange(1, 29):02}" for _ in range(200)],
             [f"{R.randrange(1, 29)} Mar 2025" for _ in range(200)]],
    "identifier": [[f"{at % 40:05}" for at in range(200)], [f"T{at:06}" for at in range(200)],
                   [str(2**53 + at) for at in range(200)], [str(at) for at in range(200)],
                   [f"{R.getrandbits(128):032x}" for _ in range(200)]],
    "text": [[" ".join(R.choices(["the", "boiler", "is", "cold", "since", "May", "and", "loud"], k=12))
              for _ in range(200)]],
    "out": [["EU"] * 200, ["x", *[""] * 199], ["NA"] * 200],
}  # fmt: skip
CASES = [(kind, cells) for kind, several in COLUMNS.items() for cells in several]


def understood(*columns: list[str], **asked: str) -> list[Understood]:
    """Tables of these columns, `c0`, `c1` and so on."""
    header = [f"c{at}" for at in range(len(columns))]
    rows = list(map(list, zip(*columns, strict=True)))
    return understand(Cells("rows.csv", header, rows, list(range(2, len(rows) + 2))), kinds=asked)


@pytest.mark.parametrize(("kind", "cells"), CASES, ids=[f"{kind} {cells[0]}" for kind, cells in CASES])
def test_a_column_is_taken_for_what_it_is_and_read_as_that(kind: str, cells: list[str]) -> None:
    (found,) = understood(cells)
    assert found.column.kind == kind, found
    assert found.column.why
    assert found.column.becomes
    assert len(found.column.parse(cells)) == len(cells)
    assert column_of(json.loads(json.dumps(found.column.declared()))) == found.column


@given(
    st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, 2)), min_size=3, max_size=30),
    st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (".", "'"), (",", "\u202f"), (",", " ")]),
    st.sampled_from(["{}", "{} €", "$ {}", "{}%", "{} kWh", "CHF {}"]),
)
def test_numbers_of_any_country_are_read_as_they_are_meant(
    values: list[float], signs: tuple[str, str], around: str
) -> None:
    plain = [f"{value:,.2f}" for value in values]
    point, group = signs
    cells = [around.format(text.translate({ord(","): group, ord("."): point})) for text in plain]
    found = number(Counter(cells))
    assert found is not None
    assert found.parse(cells).tolist() == [float(f"{value:.2f}") for value in values]
    assert all(found.low <= value <= found.high for value in found.parse(cells))


def test_what_could_group_or_divide_is_told_by_the_other_columns_and_said() -> None:
    unclear, european = ["1,234", "5,678", "12,345"] * 20, ["0,5", "1,25", "3,5"] * 20
    american = ["0.5", "1.25", "3.5"] * 20
    with_european, with_american = understood(unclear, european)[0], understood(unclear, american)[0]
    assert with_european.column.parse(["1,234"]).tolist() == [1.234]
    assert with_american.column.parse(["1,234"]).tolist() == [1234.0]
    assert "',' divides digits" in with_european.column.why
    assert "',' groups digits" in with_american.column.why


@given(st.sampled_from(DAYS), st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2060, 1, 1)), min_size=1))
def test_dates_of_any_writing_are_read_as_that(written: str, moments: list[datetime]) -> None:
    cells = [moment.strftime(written) for moment in [*moments, datetime(2025, 12, 31)]]  # a day that is no month
    found = date(Counter(cells))
    assert found is not None
    assert found.parse(cells).tolist() == [datetime.strptime(cell, written) for cell in cells]


def test_a_day_that_could_be_a_month_is_said() -> None:
    (found,) = understood([f"0{1 + at % 9}/0{1 + at % 7}/2025" for at in range(60)])
    assert found.column.kind == "date"
    assert "%d/%m/%Y would fit too" in found.column.why
    (asked,) = understood([f"0{1 + at % 9}/0{1 + at % 7}/2025" for at in range(60)], c0="date:%d/%m/%Y")
    assert asked.column == Date("%d/%m/%Y")


def test_a_person_has_the_last_word_unless_it_cannot_be() -> None:
    codes = [f"{at:05}" for at in range(100)]
    assert understood(codes, c0="category")[0].column == Category()
    assert understood(["m", "f"] * 30, c0="boolean")[0].column == Boolean("m", "f")
    assert understood(codes, c0="text")[0].column == Text(64)
    with pytest.raises(ValueError, match=r"'c0' cannot be read as number; it holds 'normal'"):
        understood(WORDS * 20, c0="number")
    with pytest.raises(ValueError, match="a column is one of number, boolean"):
        understood(codes, c0="magic")
    with pytest.raises(ValueError, match="has no column 'nothing'"):
        understood(codes, nothing="number")


@pytest.mark.parametrize("cell", ["1e400", "-3.5e38", "1" + "0" * 14 + "e30"])
def test_a_number_that_no_model_can_be_given_is_refused_with_line_and_column(cell: str) -> None:
    with pytest.raises(ValueError, match=r"^rows\.csv, line 31: 'c0' is .*, beyond the largest number that float32"):
        understood([*(f"{at}.5" for at in range(29)), cell])
    assert understood([*(f"{at}.5" for at in range(29)), cell], c0="out")[0].column.kind == "out"


@pytest.mark.parametrize("cell", ["5e-324", "-5e-324", "1e-310", "3.4e38"])
def test_a_number_that_is_nearly_nothing_or_nearly_all_is_one(cell: str) -> None:
    (found,) = understood([*(f"{at}.5" for at in range(29)), cell])
    column = found.column
    assert isinstance(column, Number)
    assert np.isfinite([column.low, column.high]).all()
    assert column.low <= float(cell) <= column.high
    assert np.isfinite(column.numbers(column.parse([cell]))[0]).all()


# Each kind of column, and pairs of a file's cell and a request's that mean the same; None: the cell is missing.
SAME: list[tuple[Column, list[tuple[str, object]]]] = [
    (Number(decimal=",", thousands="."), [("1.234,5", 1234.5), ("", None), ("-3", -3)]),
    (Boolean("ja", "nein"), [("ja", True), ("NEIN", False), ("ja", "ja"), ("nein", "Nein"), ("-", None), ("ja", 1)]),
    (Category(), [("Öko", "Öko"), ("n/a", None), ("12", 12), ("12", 12.0), ("", "")]),
    (Identifier(), [("00012", "00012"), ("", None)]),
    (Date("%d.%m.%Y"), [("31.12.2025", "2025-12-31"), ("31.12.2025", "31.12.2025"), ("", None)]),
    (Date(), [("2026-03-01T01:00:00+01:00", "2026-03-01T00:00:00Z"), ("NULL", None)]),
    (Text(8), [("cold since May", "cold since May"), ("", None)]),
]


@pytest.mark.parametrize(("column", "pairs"), SAME, ids=[type(column).__name__ for column, _ in SAME])
def test_a_cell_means_the_same_in_a_file_a_split_and_a_request(column: Column, pairs: list[tuple[str, object]]) -> None:
    parsed, taken = column.parse([cell for cell, _ in pairs]), column.take([value for _, value in pairs])
    loaded = column.loaded(column.stored(parsed))
    for values in (taken, loaded):
        assert len(values) == len(pairs)
        if column.words or not column.features("c"):
            assert values.tolist() == parsed.tolist()
        for one, other in zip(column.numbers(parsed), column.numbers(values), strict=True):
            assert np.array_equal(one, other, equal_nan=True)
            assert one.dtype == np.float32
    assert len(column.numbers(parsed)) == len(column.features("c"))


@pytest.mark.parametrize(
    ("column", "values", "position", "reason"),
    [
        (Number(), [1, "12"], 1, "must be a number, not '12'"),
        (Number(), [1, True], 1, "must be a number, not true or false"),
        (Number(), [1, None, 10**400], 2, "must be a number that float32 can hold"),
        (Boolean("ja", "nein"), [True, "maybe"], 1, "must be true or false, or 'ja' or 'nein'"),
        (Boolean(), [True, [1]], 1, "must be true or false"),
        (Category(), ["a", 1.5], 1, "must be a text, not a number"),
        (Category(), ["a", {}], 1, "must be a text, not an object"),
        (Date(), ["2026-01-01", "yesterday"], 1, "must be a date such as 2026-01-31, got 'yesterday'"),
        (Date(), [20260101], 0, "must be a date as text, not a number"),
        (Date(), ["0001-01-01T00:00:00+14:00"], 0, "must be a date such as 2026-01-31"),
    ],
)
def test_what_is_really_wrong_is_refused_with_its_place(
    column: Column, values: list[object], position: int, reason: str
) -> None:
    with pytest.raises(WrongCell) as error:
        column.take(values)
    assert (error.value.position, error.value.reason) == (position, error.value.reason)
    assert reason in error.value.reason


def test_parts_of_a_date() -> None:
    column = Date(parts=("days", "month", "day", "weekday", "hour"))
    values = column.parse(["2000-01-02T06:30:00", "2026-11-26", ""])
    parts = dict(zip(column.parts, map(np.ndarray.tolist, column.numbers(values)), strict=True))
    assert parts["month"][:2] == [1, 11]
    assert parts["day"][:2] == [2, 26]
    assert parts["weekday"][:2] == [6, 3]  # a Sunday and a Thursday
    assert parts["hour"][:2] == [6.5, 0]
    assert parts["days"][1] == (datetime(2026, 11, 26) - datetime(2000, 1, 1)).days
    assert all(np.isnan(value[2]) for value in parts.values())
