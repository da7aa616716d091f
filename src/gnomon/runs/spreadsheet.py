"""Tables that a person opens in a spreadsheet program and hands back: no cell of theirs is run as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0", "＝", "＋", "－", "＠")


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """UTF-8 CSV. A text that a spreadsheet could take for a formula gets a ' in front; numbers stay numbers."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)  # lines end as RFC 4180 says, so that a bare \r in a cell is quoted
    writer.writerow([safe_cell(name) for name in columns])
    for row in rows:
        writer.writerow([safe_cell(row.get(name)) for name in columns])
    return buffer.getvalue().encode("utf-8", "backslashreplace")


def safe_cell(value: Any) -> str:
    """The text of a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).replace("\0", "\\x00")
    needs_mark = text.lstrip(" '").startswith(FORMULA_STARTS) or text.startswith("'")
    return f"'{text}" if needs_mark else text


def from_csv(data: bytes, key: str = "id") -> tuple[list[str], list[dict[str, str]]]:
    """The column names and the rows of a CSV that `to_csv` wrote and a spreadsheet saved again.

    Cells are apart by the one of `,` `;` and tab with which there is a column `key`. Raises ValueError naming the line
    whose width differs from the header's.
    """
    text = data.decode("utf-8-sig")
    found = [lines for delimiter in ",;\t" if (lines := _lines(text, delimiter)) and key in lines[0][1]]
    if not found:
        raise ValueError(f"there is no column {key}")
    names = found[0][0][1]
    rows = []
    for number, line in found[0][1:]:
        if len(line) != len(names):
            raise ValueError(f"line {number} has {len(line)} cells, the header {len(names)}")
        rows.append(dict(zip(names, line, strict=True)))
    return names, rows


def _lines(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Each line that is not empty, with its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [(reader.line_num, [_plain(cell) for cell in line]) for line in reader if line]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None


def _plain(cell: str) -> str:
    return cell.removeprefix("'")
