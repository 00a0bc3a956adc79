"""Files of tables are read whatever wrote them: dialects, encodings, line ends, typed files."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from workloads.sdk.kits.parameters import TableParameters
from workloads.sdk.kits.tables.columns import Number
from workloads.sdk.kits.tables.tablefile import of, read
from workloads.sdk.kits.tables.tabular import Table, copied
from workloads.sdk.kits.tables.tabular import rows as rows_of_split

HEADER = ["name", "größe", "a note"]
# A cell of its own: no spaces around it, which are cut off, and no control signs but line breaks.
CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]), max_size=12)
WITH_BREAKS = st.tuples(CELLS.filter(bool), CELLS.filter(bool)).map("\n".join)


def written(folder: Path, content: bytes, name: str = "rows.csv") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS.filter(bool), CELLS, CELLS | WITH_BREAKS), min_size=2, max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_any_program_writes_is_read_as_it_was(rows, delimiter, encoding, end, quoting) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([HEADER, *rows])
    with TemporaryDirectory() as folder:
        found = read(written(Path(folder), stream.getvalue().encode(encoding)))
    assert found.header == HEADER
    assert [tuple(row) for row in found.rows] == rows


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("latin-1", ["Straße"]),
        ("cp1252", ["10 €", "naïve"]),
        ("cp1251", ["Москва", "город", "Новосибирск"]),
        ("koi8-r", ["Москва", "город", "Новосибирск"]),
        ("cp932", ["東京都", "大阪府", "北海道", "さくら", "データ"]),
        ("utf-16-le", ["city"]),
    ],
)
def test_encodings_without_a_mark_are_told_by_their_letters(tmp_path: Path, encoding: str, words: list[str]) -> None:
    text = "city;count\n" + "".join(f"{words[number % len(words)]};{number}\n" for number in range(60))
    found = read(written(tmp_path, text.encode(encoding)))
    assert set(found.column("city")) == set(words)
    assert "UTF-8" not in found.read_as


def test_quoted_line_breaks_and_windows_line_ends_keep_the_number_of_the_line(tmp_path: Path) -> None:
    text = 'a,b\r\n"first\r\nsecond",1\r\n"x ""y""",2\r\nz,many\r\n'
    found = read(written(tmp_path, text.encode()))
    assert found.rows == [["first\r\nsecond", "1"], ['x "y"', "2"], ["z", "many"]]
    with pytest.raises(ValueError, match=r"rows\.csv, line 5: 'b' is 'many', which is no finite number"):
        found.values("b", Number())


def test_typed_files_say_the_same_as_text(tmp_path: Path) -> None:
    rows = [
        {"day": "2026-03-01", "n": 9007199254740993, "x": 0.1, "ok": True, "word": "pro"},
        {"day": "2026-03-02", "n": 2, "x": None, "ok": False, "word": None},
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    days = [datetime.fromisoformat(str(day)).date() for day in columns["day"]]
    parquet.write_table(pa.table({**columns, "day": days}), tmp_path / "rows.parquet")
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    text = "day,n,x,ok,word\n2026-03-01,9007199254740993,0.1,true,pro\n2026-03-02,2,,false,\n"
    expected = read(written(tmp_path, text.encode())).rows
    assert read(tmp_path / "rows.parquet").rows == expected
    assert read(written(tmp_path, lines.encode(), "rows.jsonl")).rows == expected


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_a_file_of_any_kind_goes_through_a_tables_pipeline(tmp_path: Path, ending: str) -> None:
    rows = [{"a": number / 3, "b": number % 7, "target": "xy"[number % 2]} for number in range(80)]
    file, raw, out = tmp_path / f"rows.{ending}", tmp_path / "raw", tmp_path / "out"
    if ending == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), file)
    elif ending == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [list(rows[0]), *(list(map(str, row.values())) for row in rows)]
        file.write_text("\n".join({"csv": ",", "tsv": "\t"}[ending].join(line) for line in lines))
    raw.mkdir()
    copied(file, raw)
    (raw / "fetched.json").write_text("{}")
    Table("target", {"a": Number(0, 30), "b": Number(0, 10)}, ["x", "y"]).process(TableParameters(), raw, out)
    parts = [rows_of_split(out / f"{split}.parquet").numbers for split in ("train", "validation", "test")]
    found = sorted(tuple(row) for part in parts for row in part.tolist())
    assert found == sorted((float(np.float32(row["a"])), row["b"]) for row in rows)


def test_a_time_with_a_zone_keeps_it(tmp_path: Path) -> None:
    moments = pa.array([datetime(2026, 3, 1, 12, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    parquet.write_table(pa.table({"at": moments, "b": ["x"]}), tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet").column("at") == ["2026-03-01T12:00:00+00:00"]


ROWS = "".join(f"{at / 7},w{at % 5},{'xy'[at % 2]}\n" for at in range(20))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f'a,b,target\n{ROWS}3,"open,x\n{ROWS}', "line 22: 'b' begins with a quote that nothing closes"),
        (
            f'a,b,target\n{ROWS}3,"open,x\n4,"fine",y\n{ROWS}',
            "line 22: 'b' begins with a quote, and more follows after",
        ),
        (f'a,b,target\n{ROWS}3,"in ""two\nlines""","open\n', "line 23: 'target' begins with a quote that nothing"),
        (f'a,b,target\n"two\nlines",w,x\n3,w,"y" z\n{ROWS}', "line 4: 'target' begins with a quote, and more follows"),
        (f'"a,b,target\n{ROWS}', "line 1: column 1 begins with a quote that nothing closes"),
        (f'a,b,target\n{ROWS}"two\nlines",w\n', "lines 22 to 23: 2 cells; the header names 3 columns"),
        (f"a,b,target\n{ROWS}3,o\0pen,x\n", "line 22: 'b' holds a NUL, which is no text; remove it"),
        (f"a,b\0,target\n{ROWS}", "line 1: the name of column 2 holds a NUL"),
        ("a,b,target\n", "a header alone; rows must follow it"),
        ("a,b,target", "a header alone; rows must follow it"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_line_and_column(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"rows\.csv") as error:
        read(written(tmp_path, content.encode()))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_reader_refuses_what_is_no_text_no_row_and_no_file(tmp_path: Path, ending: str) -> None:
    def file(name: str, rows: list[dict[str, str]]) -> Path:
        made = tmp_path / f"{name}.{ending}"
        if ending == "parquet":
            parquet.write_table(pa.Table.from_pylist(rows, pa.schema([("a", pa.string()), ("b", pa.string())])), made)
        elif ending == "jsonl":
            made.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            made.write_text("\n".join(["a,b", *(",".join(row.values()) for row in rows)]))
        return made

    plain = [{"a": f"word {at}", "b": "y"} for at in range(30)]
    with pytest.raises(ValueError, match=r"^nul\.\w+, line \d+: 'b' holds a NUL, which is no text"):
        read(file("nul", [*plain, {"a": "x", "b": "o\0o"}]))
    with pytest.raises(ValueError, match=r"^none\.\w+( is empty|: a header alone)"):
        read(file("none", []))
    folder = tmp_path / f"folder.{ending}"
    folder.mkdir()
    with pytest.raises(ValueError, match=rf"folder\.{ending} is a folder; name a file in it"):
        read(folder)
    with pytest.raises(ValueError, match="/dev/null is no file; name one"):
        read(Path("/dev/null"))
    long = read(file("long", [*plain, {"a": "z" * 140_000, "b": "y"}]))
    assert len(long.column("a")[-1]) == 140_000


def test_half_a_character_and_a_line_of_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 2: 'a' holds half of a character"):
        read(written(tmp_path, b'{"a": "x"}\n{"a": "\\ud800"}\n', "rows.jsonl"))
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 1: lists in lists"):
        read(written(tmp_path, b"[" * 100_000, "rows.jsonl"))
    found = read(written(tmp_path, '{"a": "x\u2028y"}\n{"a": "z"}\r\n'.encode(), "rows.jsonl"))
    assert (found.column("a"), found.lines) == (["x\u2028y", "z"], [1, 2])


def test_long_quoted_cells_of_many_lines_do_not_hide_the_dialect(tmp_path: Path) -> None:
    cell = '"' + "one, two; three\n" * 9000 + '"'
    found = read(written(tmp_path, f"a;b\n{cell};1\n{cell};2\n".encode()))
    assert found.header == ["a", "b"]
    assert found.column("b") == ["1", "2"]


def test_quotes_mean_nothing_in_a_file_of_tabs_that_they_would_break(tmp_path: Path) -> None:
    found = read(written(tmp_path, b'a\tb\n1\t5" pipe\n2\t"open\n3\tx\n', "rows.tsv"))
    assert found.column("b") == ['5" pipe', '"open', "x"]


def test_durations_are_seconds_and_other_types_are_refused_with_the_column(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"a": [timedelta(minutes=1), None], "b": ["x", "y"]}), file)
    assert read(file).column("a") == ["60.0", ""]
    for column in (pa.array([[1], [2]]), pa.array([b"x", b"y"]), pa.array([2**50, 2**51], pa.timestamp("ms"))):
        parquet.write_table(pa.table({"a": ["x", "y"], "b": column}), file)
        with pytest.raises(ValueError, match=r"^rows\.parquet: the column 'b' holds .*, which cannot be read: "):
            read(file)
    whole = file.read_bytes()
    with pytest.raises(ValueError, match=r"^rows\.parquet is no Parquet file: "):
        read(written(tmp_path, whole[: len(whole) // 2] + whole[-100:], "rows.parquet"))


def test_a_folder_of_raw_files_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds 0 files, and a table is one"):
        of(tmp_path)
    (tmp_path / "fetched.json").write_text("{}")
    (tmp_path / "own.json").write_text("{}")
    assert of(tmp_path).name == "own.json"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", b'{"a": 1}\n{"a": [1]}\n', "line 2: 'a' holds lists; a table has one value in a cell"),
        ("rows.jsonl", b'{"a": 1}\n[1]\n', "line 2: not an object"),
        ("rows.jsonl", b'{"a": 1}\n{"a"\n', "line 2: no JSON at character 5: Expecting ':' delimiter"),
        ("rows.parquet", b"PAR1", "is no Parquet file"),
        ("rows.csv", b"\xff\xfea\0,\0b\0\n\0\x00\xd8\n\0", "not utf-16, as its first bytes say"),
        ("rows.csv", b"a,b\n1,2\n\0\0\0\0\n", "not a table of text"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match="rows") as error:
        read(written(tmp_path, content, name))
    assert message in str(error.value)
