"""Text tables as checked rows, block by block: quotes and the width of every row, before anything parses them.

polars fills short rows and other readers shift long ones. Here every row is measured, a whole block at a time, so
that five million rows take seconds and never more memory than a few blocks.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from gnomon.core.errors import DataError
from gnomon.data.tables.dialect import SAMPLE_BYTES, Dialect, OtherDialectError, utf8_pieces
from gnomon.data.tables.raw import RawTable, quoted

BLOCK_BYTES = 32 * 2**20  # read at a time; memory is a small multiple of it
MAX_ROW_BYTES = 16 * 2**20  # a longer row is a damaged file, not a table
NEWLINE, RETURN, QUOTE = 10, 13, 34


@dataclass(frozen=True)
class Header:
    """The first row: the columns' names."""

    names: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Block:
    """Whole rows as UTF-8 text, each ended by a line feed, and the line of the file each of them starts on."""

    text: bytes
    lines: np.ndarray  # (R,) int64, counted from 1


@dataclass
class Walk:
    """The position of the walk over a file, and what it has met: for messages."""

    lines: int = 0  # line ends before the current buffer
    quoted_line: int = 0  # where a quoted cell was first met; 0: nowhere yet
    blank_lines: int = 0
    first_blank: int = 0
    waiting: int = 0  # blank lines that may turn out to be the end
    first_waiting: int = 0

    def line_of(self, codes: np.ndarray, position: int) -> int:
        """The line of the file that a byte of the current buffer is on."""
        return self.lines + 1 + int((codes[:position] == NEWLINE).sum())

    def skip_blank(self, lines: np.ndarray, is_blank: np.ndarray) -> None:
        """Blank lines at the very end are a habit of editors: only those before a later row count."""
        blank = lines[is_blank]
        if not self.waiting and len(blank):
            self.first_waiting = int(blank[0])
        self.waiting += len(blank)
        if is_blank.all():
            return
        after = blank[blank > lines[~is_blank][-1]]
        if self.waiting > len(after):
            self.first_blank = self.first_blank or self.first_waiting
        self.blank_lines += self.waiting - len(after)
        self.waiting = len(after)
        self.first_waiting = int(after[0]) if len(after) else 0

    def notes(self, raw: RawTable) -> tuple[str, ...]:
        if not self.blank_lines:
            return ()
        lines = "1 blank line is not a row" if self.blank_lines == 1 else f"{self.blank_lines} blank lines are not rows"
        return (f"{raw.shown}: {lines} (the first is line {self.first_blank}).",)


def check_names(names: Sequence[str], where: str, *, can_be_headless: bool) -> None:
    """Raise DataError for column names that are empty, given twice, or numbers: a first row that is not a header."""
    numbers = [name for name in names if re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", name)]
    are_mostly_fractions = any("." in name for name in numbers) and 2 * len(numbers) >= len(names)
    if can_be_headless and numbers and (len(numbers) == len(names) or are_mostly_fractions):
        what = f"the first row should name the columns, but it has numbers ({quoted(', '.join(names))})."
        raise DataError(what, where=where, fix="add a first line with the column names.")
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name.strip():
            what = f"column {position} of {len(names)} has no name."
            fix = "name the column in the first line, or remove the column."
            if position == 1:  # usually the index of a data frame
                fix = "leave row names out (pandas: to_csv(index=False), R: row.names=FALSE), or name their column."
            raise DataError(what, where=where, fix=fix)
        if name in seen:
            what = f"two columns are called {quoted(name)}: column {seen[name]} and column {position}."
            raise DataError(what, where=where, fix="give each column its own name.")
        seen[name] = position


def read_header(raw: RawTable, dialect: Dialect) -> Header:
    """The column names. Raises DataError for an empty file and for names that cannot be used."""
    first = next(_blocks(raw, dialect, None, Walk(), SAMPLE_BYTES), None)
    if first is None:
        raise raw.bad("is empty.", fix="give a table with a line of column names and at least one row.")
    text = first.text.decode()
    if dialect.has_quotes:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=dialect.separator))
    else:
        names = text.rstrip("\r\n").split(dialect.separator)
    line = int(first.lines[0])
    check_names(names, f"{raw.shown} line {line}", can_be_headless=True)
    return Header(tuple(names), line)


def blocks(raw: RawTable, dialect: Dialect, header: Header, walk: Walk, block_bytes: int) -> Iterator[Block]:
    """The rows below the header, each as wide as the header.

    Raises DataError naming the line; OtherDialectError if the file must be read again in another dialect.
    """
    every = _blocks(raw, dialect, len(header.names), walk, block_bytes)
    first = next(every, None)
    if first is None:
        return
    size = len(_first_row(first.text, dialect))
    for block in itertools.chain([Block(first.text[size:], first.lines[1:])], every):
        if len(block.lines):
            yield block


def _first_row(text: bytes, dialect: Dialect) -> bytes:
    end = text.index(b"\n")
    while dialect.has_quotes and text.count(b'"', 0, end) % 2:
        end = text.index(b"\n", end + 1)
    return text[: end + 1]


def _blocks(raw: RawTable, dialect: Dialect, width: int | None, walk: Walk, block_bytes: int) -> Iterator[Block]:
    """Cut the text at the ends of rows and check each part; `width` None yields only the first row."""
    rest, above = b"", dialect.lines_above
    walk.lines += above
    for piece in itertools.chain(utf8_pieces(raw, dialect, block_bytes), [None]):
        if piece is None:
            buffer = rest + b"\n" if rest else b""
        else:
            buffer = rest + (piece.replace(b"\r", b"\n") if dialect.ends_with_return else piece)
            buffer, above = (buffer.split(b"\n", above)[-1] if above else buffer), 0
        cut, block = _checked(raw, dialect, width, walk, buffer)
        rest = buffer[cut:]
        if len(rest) > MAX_ROW_BYTES or (piece is None and rest):
            _refuse_rest(raw, dialect, walk, rest)
        if block is not None:
            yield block
            if width is None:
                return


def _refuse_rest(raw: RawTable, dialect: Dialect, walk: Walk, rest: bytes) -> NoReturn:
    if dialect.has_quotes and b'"' in rest:
        _check_quotes(raw, dialect, walk, np.frombuffer(rest + b"\n", np.uint8))
    if dialect.has_quotes and rest.count(b'"') % 2:
        line = walk.lines + rest.count(b"\n", 0, rest.rindex(b'"')) + 1
        what = f"the quote that opens in line {line} is never closed."
        raise raw.bad(what, line=line, fix="close the quote, or double it if it belongs to the text.")
    line = walk.lines + 1
    what = f"line {line} is longer than {MAX_ROW_BYTES // 2**20} MiB: this is not a text table."
    raise raw.bad(what, line=line, fix="check how the file was made.")


def _checked(raw: RawTable, dialect: Dialect, width: int | None, walk: Walk, buffer: bytes) -> tuple[int, Block | None]:
    """How many bytes of the buffer are whole rows, and those rows."""
    codes = np.frombuffer(buffer, np.uint8)
    nul = buffer.find(b"\0")
    if nul >= 0:
        line = walk.line_of(codes, nul)
        what = f"line {line} holds a NUL byte: the file is not text, or it is damaged."
        raise raw.bad(what, line=line, fix="create the file again, or remove the byte.")
    breaks, separators = np.flatnonzero(codes == NEWLINE), np.flatnonzero(codes == ord(dialect.separator))
    ends, is_inside = breaks, None
    if dialect.has_quotes and b'"' in buffer:
        # odd number of quotes before and at a byte: it is inside quotes; uint8 wraps at 256, which is even
        is_inside = (np.cumsum(codes == QUOTE, dtype=np.uint8) & 1).view(bool)
        ends, separators = breaks[~is_inside[breaks]], separators[~is_inside[separators]]
    if not len(ends):
        return 0, None
    cut = int(ends[-1]) + 1
    if is_inside is not None:
        _check_quotes(raw, dialect, walk, codes[:cut])
    elif not dialect.has_quotes:
        _check_no_quoted_cell(raw, dialect, walk, buffer[:cut])
    if b"\r" in buffer:
        _check_returns(raw, walk, codes[:cut], is_inside)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lines = walk.lines + 1 + np.searchsorted(breaks, starts)
    widths = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    is_blank = (ends == starts) | ((ends - starts == 1) & (codes[starts] == RETURN))
    text = buffer[:cut]
    if is_blank.any() or walk.waiting:
        walk.skip_blank(lines, is_blank)
        text = _without(codes[:cut], starts[is_blank], ends[is_blank])
        starts, ends, lines, widths = (values[~is_blank] for values in (starts, ends, lines, widths))
    if width is None:
        return cut, Block(buffer[int(starts[0]) : int(ends[0]) + 1], lines[:1]) if len(lines) else None
    wrong = np.flatnonzero(widths != width)
    if len(wrong):
        row = int(wrong[0])
        _refuse_width(raw, buffer[int(starts[row]) : int(ends[row])], int(lines[row]), int(widths[row]), width)
    walk.lines += int(np.searchsorted(breaks, cut))
    return cut, Block(text, lines) if len(lines) else None


def _refuse_width(raw: RawTable, row: bytes, line: int, found: int, width: int) -> NoReturn:
    begin = quoted(row.decode("utf-8", "replace").rstrip("\r"))
    fields = "1 field" if found == 1 else f"{found} fields"
    what = f"the row {begin} has {fields}, the header has {width}."
    fix = "correct the row (put a field with separators in quotes), or set delimiter=..."
    if width == 1:
        fix = "make the column names the first line (remove what is above them), or set delimiter=..."
    raise raw.bad(what, line=line, fix=fix)


def _check_quotes(raw: RawTable, dialect: Dialect, walk: Walk, codes: np.ndarray) -> None:
    """Quotes must enclose whole cells. If none has done so yet, they are plain characters: read again."""
    quotes = np.flatnonzero(codes == QUOTE)
    opens, closes = quotes[0::2], quotes[1::2]
    before = np.where(opens > 0, codes[np.maximum(opens, 1) - 1], NEWLINE)
    after = codes[closes + 1]  # the last byte is a line feed
    borders = (ord(dialect.separator), NEWLINE, QUOTE)
    is_open_good, is_close_good = np.isin(before, borders), np.ones(len(opens), bool)
    is_close_good[: len(closes)] = np.isin(after, (*borders, RETURN))  # the last quote may be open
    bad = np.flatnonzero(~(is_open_good & is_close_good))
    if not walk.quoted_line and (bad[0] if len(bad) else len(opens)):
        walk.quoted_line = walk.line_of(codes, int(opens[0]))
    if not len(bad):
        return
    pair = int(bad[0])
    line = walk.line_of(codes, int(opens[pair]))
    if is_open_good[pair]:
        rest = codes[closes[pair] + 1 : closes[pair] + 21].tobytes().decode("utf-8", "replace")
        what = f"the cell in quotes that begins in line {line} is followed by {quoted(rest)}, not by a separator."
    elif walk.quoted_line:
        what = f"there is a quote inside a cell of line {line}, while line {walk.quoted_line} has a cell in quotes."
    else:
        note = f"{raw.shown}: there are quotes inside cells (line {line} is the first), read as plain characters."
        raise OtherDialectError(dialect.but(note, has_quotes=False))
    raise raw.bad(
        what, line=line, fix="close the quote, or double a quote that belongs to the text and quote the cell."
    )


def _check_no_quoted_cell(raw: RawTable, dialect: Dialect, walk: Walk, text: bytes) -> None:
    """If quotes are plain characters, no cell may begin with one: its meaning would be ambiguous."""
    found = re.search(rb"(?:^|[\n" + re.escape(dialect.separator.encode()) + rb'])"', text)
    if found:
        line = walk.lines + text.count(b"\n", 0, found.end()) + 1
        what = f"a cell of line {line} begins with a quote, while other cells have quotes inside."
        raise raw.bad(what, line=line, fix="double the quotes that belong to the text and quote the whole cell.")


def _check_returns(raw: RawTable, walk: Walk, codes: np.ndarray, is_inside: np.ndarray | None) -> None:
    """A carriage return outside quotes must belong to a line end."""
    returns = np.flatnonzero(codes == RETURN)
    if is_inside is not None:
        returns = returns[~is_inside[returns]]
    alone = returns[codes[returns + 1] != NEWLINE]
    if len(alone):
        line = walk.line_of(codes, int(alone[0]))
        what = f"line {line} has a carriage return that does not end a line."
        raise raw.bad(what, line=line, fix="use one kind of line end in the file (dos2unix, mac2unix).")


def _without(codes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> bytes:
    keep = np.ones(len(codes), bool)
    keep[starts] = keep[ends] = False  # a blank line is LF alone or CR LF
    return codes[keep].tobytes()
