"""How the bytes of a text table become text and rows: encoding, line ends and separator, detected or declared."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from gnomon.core.errors import UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.tables.raw import (
    GZIP_MAGIC,
    PARQUET_MAGIC,
    RawTable,
    is_binary,
    quoted,
    refuse_other_formats,
)

SAMPLE_BYTES = 2**18  # of the start, for finding separator and header
SAMPLE_ROWS = 1000
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

_BOMS = (  # the longer ones first: UTF-16's is a prefix of UTF-32's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Western European letters occur alone or in pairs among ASCII ones. Longer runs, the byte pairs of UTF-8 and bytes
# without a letter mean another encoding, or damage.
_EXCEL_LINE = re.compile(r"\"?sep=(.)\"?\r?\n", re.IGNORECASE)
_COMMENT = re.compile(r"(?:[ \t]*(?:#|//|%)[^\n]*\n)+")
_NOT_WESTERN = re.compile(rb"[\x80-\xff]{3}|[\xc2-\xdf][\x80-\xbf]|[\x81\x8d\x8f\x90\x9d]")


@dataclass(frozen=True)
class Dialect:
    """How one file is to be read."""

    separator: str
    encoding: str  # a Python codec
    is_declared: bool  # the encoding was given by the user
    is_gzip: bool
    has_quotes: bool = True  # False: a quote is a character like any other
    ends_with_return: bool = False  # rows end with CR alone
    lines_above: int = 0  # of the column names: 1 for Excel's sep=; line
    notes: tuple[str, ...] = ()

    def but(self, note: str, **changes: Any) -> Dialect:
        return replace(self, notes=(*self.notes, note), **changes)


class OtherDialectError(Exception):
    """What was read so far shows that the file must be read again, in `dialect`."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__("read again in another dialect")
        self.dialect = dialect


def find_dialect(raw: RawTable, settings: DataSettings) -> Dialect:
    """Detect compression, encoding, line ends and separator from the first bytes; anything unusual is in `notes`.

    Raises DataError if it is not a text table or could be read in two ways, UsageError for unusable settings.
    """
    head = raw.head()
    notes: tuple[str, ...] = ()
    is_gzip = head.startswith(GZIP_MAGIC)
    if is_gzip:
        if not raw.path.name.lower().endswith(".gz"):
            notes = (f"{raw.shown} is compressed with gzip, whatever its name says.",)
        head = next(raw.pieces(4096, is_gzip=True), b"")
    refuse_other_formats(raw, head)
    if head.startswith(PARQUET_MAGIC):
        raise raw.bad("is a Parquet file inside gzip.", fix="unpack it first (gunzip).")
    dialect = _with_encoding(
        Dialect(",", "utf-8", settings.encoding is not None, is_gzip, notes=notes), raw, head, settings.encoding
    )
    if dialect.encoding == "utf-8" and is_binary(head):
        raise raw.bad("is not a text table: its bytes are not text.", fix="give a CSV, TSV or Parquet file.")
    try:
        sample = next(utf8_pieces(raw, dialect, SAMPLE_BYTES), b"")
    except OtherDialectError as other:
        dialect = other.dialect
        sample = next(utf8_pieces(raw, dialect, SAMPLE_BYTES), b"")
    if b"\r" in sample and b"\n" not in sample:
        note = f"{raw.shown}: lines end with a carriage return alone (old Macintosh); each one is read as a line end."
        dialect, sample = dialect.but(note, ends_with_return=True), sample.replace(b"\r", b"\n")
    text = sample.decode("utf-8", "replace")
    excel = _EXCEL_LINE.match(text)
    if excel:
        shown = SEPARATORS.get(excel[1], f"'{excel[1]}'")
        note = f"{raw.shown}: its first line is Excel's sep=, which says that {shown} separate the fields."
        return _with_separator(
            dialect.but(note, lines_above=1), raw, text[excel.end() :], settings.delimiter or excel[1]
        )
    return _with_separator(dialect, raw, text, settings.delimiter)


def _with_encoding(dialect: Dialect, raw: RawTable, head: bytes, declared: str | None) -> Dialect:
    if declared is not None:
        try:
            "".encode(declared)
            return replace(dialect, encoding=codecs.lookup(declared).name)
        except (LookupError, ValueError):
            raise UsageError(
                f"data.encoding={declared} is not a text encoding.",
                fix="set encoding=utf-8, latin-1, windows-1252, utf-16 or shift_jis, for example.",
            ) from None
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return dialect.but(
                f"{raw.shown} begins with the byte-order mark of {encoding.upper()} and is read as such.",
                encoding=encoding,
            )
    codes = np.frombuffer(head[: len(head) // 2 * 2], np.uint8)
    if len(codes) >= 4:
        even, odd = float((codes[0::2] == 0).mean()), float((codes[1::2] == 0).mean())
        if max(even, odd) > 0.4 and min(even, odd) < 0.1:
            encoding = "utf-16-le" if odd > even else "utf-16-be"
            return dialect.but(
                f"{raw.shown} is read as {encoding.upper()}: every second byte is zero.", encoding=encoding
            )
    return dialect


def _with_separator(dialect: Dialect, raw: RawTable, text: str, declared: str | None) -> Dialect:
    """The separator with which most sampled rows are as wide as the header; if two fit, the wider header."""
    if declared is not None:
        separator = {"tab": "\t", "\\t": "\t"}.get(declared, declared)
        if len(separator) != 1 or not separator.isascii() or separator in '"\n\r\0':
            what = f"data.delimiter={declared!r} is not one plain character."
            raise UsageError(what, fix="set delimiter=';' or delimiter=tab, for example.")
        return replace(dialect, separator=separator)
    if len(text) >= SAMPLE_BYTES // 2 and "\n" in text:
        text = text[: text.rindex("\n") + 1]  # the last row may be cut
    _refuse_comment(raw, text)
    fits = {separator: _fit(text, separator) for separator in SEPARATORS}
    best = max(fits, key=lambda separator: fits[separator])
    if fits[best][1] < 2:
        return dialect
    rivals = [other for other in SEPARATORS if other != best and fits[other] == fits[best]]
    if rivals:
        ways = f"{SEPARATORS[best]} or by {SEPARATORS[rivals[0]]}"
        raise raw.bad(
            f"its fields may be separated by {ways}: both give rows of the same width.",
            fix=f"set it: delimiter='{best}' or delimiter='{rivals[0]}'.",
        )
    if best == ",":
        return dialect
    note = f"{raw.shown}: fields are separated by {SEPARATORS[best]} (delimiter=... to override)."
    return dialect.but(note, separator=best)


def _refuse_comment(raw: RawTable, text: str) -> None:
    """Raise DataError where the lines above the column names are comments: names may begin with # as well."""
    found = _COMMENT.match(text)
    if found is None:
        return
    for separator in SEPARATORS:
        (share, width), (whole, _) = _fit(text[found.end() :], separator), _fit(text, separator)
        if width > 1 and share > whole:
            what = f"begins with a comment ({quoted(found[0].partition(chr(10))[0])}), not with the column names."
            raise raw.bad(what, line=1, fix="remove such lines: grep -v '^#' FILE > NEW.")


def _fit(text: str, separator: str) -> tuple[float, int]:
    """The share of rows as wide as the header, and that width; (0, 1) if the header is one cell."""
    widths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if row:
                widths.append(len(row))
            if len(widths) == SAMPLE_ROWS:
                break
    except csv.Error:  # a cell beyond csv's own limit: the rows before it are enough
        pass
    if not widths or widths[0] < 2:
        return 0.0, 1
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


# --- encodings --------------------------------------------------------------------------------------------------------
def utf8_pieces(raw: RawTable, dialect: Dialect, size: int) -> Iterator[bytes]:
    """The content as valid UTF-8 without byte-order mark, in pieces of about `size` bytes.

    Raises DataError naming the line, or OtherDialectError where windows-1252 should be tried.
    """
    if dialect.encoding == "utf-8":
        yield from _checked_utf8(raw, dialect, size)
        return
    decoder, line = codecs.getincrementaldecoder(dialect.encoding)(), 1
    for piece in itertools.chain(raw.pieces(size, is_gzip=dialect.is_gzip), [b""]):
        if dialect.encoding == "cp1252" and not dialect.is_declared:
            _check_western(raw, piece, line)
        try:
            text = decoder.decode(piece, final=not piece).encode()
        except UnicodeError as error:
            why = getattr(error, "reason", error)
            what = f"cannot be read as {dialect.encoding.upper()} from line {line} on: {why}."
            raise raw.bad(what, line=line, fix=_SAY_ENCODING) from None
        line += _line_ends(text)
        yield text


_SAY_ENCODING = "set the encoding: encoding=utf-8, windows-1252, windows-1251, shift_jis, gb18030 ..."


def _checked_utf8(raw: RawTable, dialect: Dialect, size: int) -> Iterator[bytes]:
    carry, line, has_other_letters, is_first = b"", 1, False, True
    for piece in itertools.chain(raw.pieces(size, is_gzip=dialect.is_gzip), [b""]):
        data = carry + piece
        if is_first:
            data, is_first = data.removeprefix(codecs.BOM_UTF8), False
        carry = b""
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError as error:
                at = error.start
                is_cut = error.reason == "unexpected end of data" and bool(piece)
                has_other_letters = has_other_letters or not data[:at].isascii()
                if not is_cut:
                    _not_utf8(raw, dialect, line + _line_ends(data[:at]), data[at], has_other_letters)
                carry, data = data[at:], data[:at]
            else:
                has_other_letters = True
        line += _line_ends(data)
        yield data


def _not_utf8(raw: RawTable, dialect: Dialect, line: int, byte: int, has_other_letters: bool) -> NoReturn:
    """Read again as windows-1252 if that is possible; DataError if other letters are UTF-8 or it was declared."""
    what = f"byte 0x{byte:02X} in line {line} is not UTF-8"
    if dialect.is_declared:
        raise raw.bad(f"{what}, which was declared.", line=line, fix="leave encoding=... out, or " + _SAY_ENCODING)
    if has_other_letters:
        what = f"{what}, though other letters of the file are."
        raise raw.bad(what, line=line, fix="repair that letter; or " + _SAY_ENCODING)
    note = f"{raw.shown} is read as windows-1252 (latin-1), because {what} (encoding=... to override)."
    raise OtherDialectError(dialect.but(note, encoding="cp1252"))


def _check_western(raw: RawTable, piece: bytes, line: int) -> None:
    """Raise DataError if windows-1252 is not plausible either: an encoding is reported or refused, never guessed."""
    found = _NOT_WESTERN.search(piece)
    if found:
        line += _line_ends(piece[: found.start()])
        what = f"byte 0x{found[0][0]:02X} in line {line} is not UTF-8, and windows-1252 (latin-1) does not fit."
        raise raw.bad(what, line=line, fix=_SAY_ENCODING)


def _line_ends(text: bytes) -> int:
    return text.count(b"\n") or text.count(b"\r")
