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
    writer = csv.writer(buffer, lineterminator="\n")
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


def from_csv(data: bytes) -> tuple[list[str], list[dict[str, str]]]:
    """The column names and the rows of a CSV that `to_csv` wrote and a spreadsheet saved again (`,` or `;`).

    Raises ValueError naming the line whose width differs from the header's.
    """
    text = data.decode("utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, line) for line in reader if line]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    if not lines:
        raise ValueError("it is empty")
    names = [_plain(name) for name in lines[0][1]]
    rows = []
    for number, line in lines[1:]:
        if len(line) != len(names):
            raise ValueError(f"line {number} has {len(line)} cells, the header {len(names)}")
        rows.append(dict(zip(names, map(_plain, line), strict=True)))
    return names, rows


def _plain(cell: str) -> str:
    return cell.removeprefix("'")
