"""Tables that a person opens in a spreadsheet program and hands back: no cell of theirs is run as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What makes a cell a formula: = + - @, tab, CR and LF in front (OWASP, "CSV injection"), and their full-width twins.
# A program that takes ; or tab for the separator begins a cell behind each of them, and behind the end of a line.
_BEGINS = r"(^|[;\t\r\n])"
_NEEDS_MARK = re.compile(_BEGINS + r"(?=[ \"']*[=+\-@\t\r\n＝＋－＠]|')")
_MARKED = re.compile(_BEGINS + "'")
RAW = ".raw.csv"  # how a file ends whose texts stay as they are: for programs, not for a spreadsheet


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, raw: bool = False) -> bytes:
    """UTF-8 CSV. Texts are quoted, and get a ' wherever a spreadsheet could take them for a formula; numbers stay bare.

    `raw`: without those marks.
    Source: OWASP, "CSV injection": with another separator a cell begins in the middle of a text.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC)  # lines end as RFC 4180 says
    writer.writerow([_cell(name, raw=raw) for name in columns])
    for row in rows:
        writer.writerow([_cell(row.get(name), raw=raw) for name in columns])
    return buffer.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any, *, raw: bool) -> str | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    return str(value) if raw else safe_text(str(value))


def safe_text(text: str) -> str:
    """The text with a ' at each place where a cell could begin with a formula, or begins with a ' of its own."""
    return _NEEDS_MARK.sub(r"\1'", text.replace("\0", "\\x00"))


def from_csv(data: bytes, key: str = "id", *, raw: bool = False) -> tuple[list[str], list[dict[str, str]]]:
    """The column names and the rows of a CSV that `to_csv` wrote and a spreadsheet saved again.

    Cells are apart by the one of `,` `;` and tab with which there is a column `key`. Raises ValueError naming the line
    whose width differs from the header's, or the column that is there twice.
    """
    text = data.decode("utf-8-sig")
    found = [lines for delimiter in ",;\t" if (lines := _lines(text, delimiter, raw=raw)) and key in lines[0][1]]
    if not found:
        raise ValueError(f"there is no column {key}")
    names = found[0][0][1]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two columns are called {twice!r}")
    rows = []
    for number, line in found[0][1:]:
        if len(line) != len(names):
            raise ValueError(f"line {number} has {len(line)} cells, the header {len(names)}")
        rows.append(dict(zip(names, line, strict=True)))
    return names, rows


def _lines(text: str, delimiter: str, *, raw: bool) -> list[tuple[int, list[str]]]:
    """Each line that is not empty, with its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [(reader.line_num, line if raw else [_plain(cell) for cell in line]) for line in reader if line]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None


def _plain(cell: str) -> str:
    return _MARKED.sub(r"\1", cell)
