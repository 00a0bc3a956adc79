"""Tables in text: what encoding and dialect a file is of, its cells, and where its quotes go wrong."""

import csv
import io
import re
from itertools import islice

from workloads.sdk.kits.tables.cells import Cells, check_header

DELIMITERS = [",", ";", "\t", "|"]
NAMED = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}
SAMPLE = 2**15  # characters that the dialect is told from
LARGEST_CELL = 2**30  # characters
CONTROL = re.compile(r"[\0-\x08\x0e-\x1f]")


def delimited(name: str, text: str, encoding: str) -> Cells:
    """A header and rows. Raises ValueError with the line of a row that is none."""
    csv.field_size_limit(LARGEST_CELL)
    delimiter, quote, escape = _dialect(text)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        escapechar=escape or None,
        strict=bool(quote),
    )
    header, rows, lines = [], [], []
    begin = 0  # lines before the row
    try:
        header = [cell.strip() for cell in next(reader, [])]
        check_header(name, header)
        begin = reader.line_num
        for row in reader:
            line, begin = _line(begin, reader.line_num), reader.line_num
            if not any(cell.strip() for cell in row):
                continue  # a blank line
            if len(row) != len(header):
                raise ValueError(f"{name}, {line}: {len(row)} cells; the header names {len(header)} columns")
            rows.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error as error:
        rest = "".join(islice(io.StringIO(text, newline=""), begin, None))
        why = _quotes(rest, begin, header, delimiter, quote) or f"line {reader.line_num}: {error}"
        raise ValueError(f"{name}, {why}") from None
    return Cells(name, header, rows, lines, f"{encoding}, {NAMED.get(delimiter, repr(delimiter))}")


def _line(before: int, end: int) -> str:
    return f"line {end}" if before + 1 == end else f"lines {before + 1} to {end}"


def _quotes(rest: str, before: int, header: list[str], delimiter: str, quote: str) -> str | None:
    """What is wrong with the quotes of the row that `rest` begins with, after `before` lines; None: nothing."""
    if not quote:
        return None
    quoted = re.compile(f"{re.escape(quote)}(?:[^{re.escape(quote)}]|{re.escape(quote) * 2})*+{re.escape(quote)}")
    plain = re.compile(f"[^{re.escape(delimiter)}\r\n]*")
    at = cell = 0
    while at < len(rest):
        line = before + 1 + _breaks(rest[:at])
        column = repr(header[cell]) if cell < len(header) else f"column {cell + 1}"
        if rest[at] != quote:
            at = plain.match(rest, at).end()  # type: ignore[union-attr]  # also of no sign
        elif not (whole := quoted.match(rest, at)):
            return f"line {line}: {column} begins with a quote that nothing closes"
        else:
            at = whole.end()
            if at < len(rest) and rest[at] not in (delimiter, "\r", "\n"):
                closed = line + _breaks(whole[0])
                return (
                    f"line {line}: {column} begins with a quote, and more follows after the one that closes it in line "
                    f"{closed}; a quote within a cell is written twice"
                )
        if at >= len(rest) or rest[at] != delimiter:
            return None
        at, cell = at + 1, cell + 1
    return None


def _breaks(text: str) -> int:
    return len(re.findall("\r\n|\r|\n", text))


def _dialect(text: str) -> tuple[str, str, str]:
    """Delimiter, quote and escape sign, by the consistency of what each would make of the first lines.

    van den Burg, Nazabal and Sutton 2019, "Wrangling messy CSV files by detecting row and type patterns", by their
    library. It is asked only where the signs of most tables do not give rows of one length.
    """
    sample = text[:SAMPLE]
    sample = sample[: sample.rfind("\n") + 1] or sample
    unfinished: dict[str, int] = {}  # whole rows of one length before a quote that goes wrong, or is closed later on
    for sign in sorted(DELIMITERS, key=lambda sign: -sample.count(sign)):
        rows, whole = _rows(sample, sign, '"')
        counts = {len(row) for row in rows[:-1] if row} or {len(row) for row in rows}
        if len(counts) != 1 or counts.pop() < 2:
            continue
        if whole:
            return sign, '"', ""
        if sign == "\t" and len({len(row) for row in _rows(sample, sign, None)[0] if row}) == 1:
            return sign, "", ""  # a quote means nothing there
        unfinished[sign] = len(rows)
    if unfinished:
        return max(unfinished, key=unfinished.__getitem__), '"', ""
    from clevercsv import Sniffer

    try:
        found = Sniffer().sniff(sample, delimiters=[*DELIMITERS, " ", ":"])
    except Exception:  # it could not tell, by whatever of its own errors: a single column, most likely
        found = None
    if found is None:
        return max(DELIMITERS, key=text.partition("\n")[0].count), '"', ""
    return found.delimiter or ",", found.quotechar or '"', found.escapechar or ""


def _rows(sample: str, sign: str, quote: str | None) -> tuple[list[list[str]], bool]:
    """The first rows as a delimiter makes them, and whether none of them goes wrong."""
    reader = csv.reader(
        io.StringIO(sample, newline=""),
        delimiter=sign,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    rows: list[list[str]] = []
    try:
        rows.extend(islice(reader, 200))  # what came before an error is kept
    except csv.Error:
        return rows, False
    return rows, True


def decoded(name: str, content: bytes) -> tuple[str, str]:
    """The text and its encoding's name. What is no UTF-8 and has no mark is told from the letters that it gives."""
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32",
             b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # fmt: skip
    encoding = next((found for mark, found in marks.items() if content.startswith(mark)), "utf-8")
    even, odd = (content[at:1000:2].count(0) / max(1, len(content[at:1000:2])) for at in (0, 1))
    if encoding == "utf-8" and abs(even - odd) > 0.4:  # Latin letters in two bytes, without a mark
        encoding = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text, said = content.decode(encoding), encoding.upper().replace("-SIG", "")
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ValueError(
                f"{name}, {_at(content, error)}: not {encoding}, as its first bytes say; save it as UTF-8"
            ) from None
        text, said = _of_foreign(name, content)
    _sure_text(name, text[: 2**16])
    return text, said


def _of_foreign(name: str, content: bytes) -> tuple[str, str]:
    _sure_text(name, content[: 2**16].decode("latin-1"))
    encoding = _foreign(content)
    try:
        return content.decode(encoding), encoding
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name}, {_at(content, error)}: neither UTF-8 nor {encoding}; save the file as UTF-8"
        ) from None


def _sure_text(name: str, sample: str) -> None:
    if len(CONTROL.findall(sample)) > max(3, len(sample) / 100):
        raise ValueError(f"{name}: not a table of text; CSV, TSV, JSON lines and Parquet are read")


def _at(content: bytes, error: UnicodeDecodeError) -> str:
    lines = content[: error.start].split(b"\n")
    return f"line {len(lines)}, byte {len(lines[-1]) + 1}"


def _foreign(content: bytes) -> str:
    """An encoding from before Unicode: Windows' Western one, unless the words that it gives look like none."""
    western = content[: 2**20].decode("cp1252", "replace")
    letters = re.findall(r"[^\W\d_]", western)
    others = sum(not letter.isascii() for letter in letters)
    broken = re.search(r"(?<=[^\W\d_])[\u0080-\u00bf\u00d7\u00f7\u2000-\u2122\ufffd](?=[^\W\d_])", western)
    if others <= len(letters) / 3 and not broken:
        return "cp1252"
    import chardet

    return chardet.detect(content[: 2**16])["encoding"] or "cp1252"
