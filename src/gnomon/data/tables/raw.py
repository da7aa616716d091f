"""The bytes of a table, and what they turn out to be; how cells, rows and names are shown in messages."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gnomon.core.errors import ArtefactError, DataError
from gnomon.data.source import display_name, reason_of

SHOWN_CHARACTERS = 60  # of a row or a cell, in messages
PARQUET_MAGIC = b"PAR1"
GZIP_MAGIC = b"\x1f\x8b"
MOST_RATIO = 500  # unpacked to packed, from RATIO_FROM bytes on: a gzip of one letter reaches 1,000, a table rarely 50
RATIO_FROM = 10**9

_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f\x7f]")
_OTHER_FORMATS = (  # other kinds of files that are named like tables: how they begin, what they are, what to do
    (b"PK\x03\x04", "a zip archive", "unpack it and give the table inside."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook", "save the sheet as CSV in the spreadsheet program."),
    (b"%PDF", "a PDF document", "give the data behind it as CSV or Parquet."),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV or Parquet."),
    (b"BZh", "compressed with bzip2", "unpack it (bunzip2), or compress it with gzip."),
    (b"\xfd7zXZ\x00", "compressed with xz", "unpack it (unxz), or compress it with gzip."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it (unzstd), or compress it with gzip."),
    (b"\x89PNG", "a PNG picture", "give a table: CSV, TSV or Parquet."),
    (b"\xff\xd8\xff", "a JPEG picture", "give a table: CSV, TSV or Parquet."),
    (b"GIF8", "a GIF picture", "give a table: CSV, TSV or Parquet."),
)


@dataclass(frozen=True)
class RawTable:
    """A table's bytes, to be opened as often as needed: a regular file, or content already in memory."""

    path: Path
    content: bytes | None = None

    @property
    def shown(self) -> str:
        """The name for messages: bytes that are not UTF-8 and control characters escaped."""
        return display_name(str(self.path))

    def bad(self, what: str, *, fix: str, line: int | None = None) -> DataError:
        """The error to raise about this file (and line)."""
        return DataError(what, where=self.shown if line is None else f"{self.shown} line {line}", fix=fix)

    def identity(self) -> tuple[int, ...]:
        """What shows whether the file was replaced or written to between two reads. Raises DataError."""
        if self.content is not None:
            return ()
        try:
            now = self.path.stat()
        except FileNotFoundError:
            raise self.bad("there is no such file.", fix="check the path.") from None
        except (OSError, ValueError) as error:
            raise self.bad(f"cannot be read: {reason_of(error).lower()}.", fix="check the path.") from None
        if not stat.S_ISREG(now.st_mode):
            raise self.bad("is not a regular file.", fix="give a CSV, TSV or Parquet file.")
        return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The raw bytes. Raises DataError if the file cannot be read."""
        if self.content is not None:
            yield io.BytesIO(self.content)
            return
        self.identity()  # a pipe or a device would block for ever: checked before it is opened
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise self.bad(f"cannot be read: {reason_of(error).lower()}.", fix="check its permissions.") from None
        with file:
            yield file

    def head(self, size: int = 4096) -> bytes:
        with self.open() as file:
            return file.read(size)

    def pieces(self, size: int, *, is_gzip: bool) -> Iterator[bytes]:
        """The content (unpacked) in pieces of at most `size` bytes. Raises DataError for damage."""
        with self.open() as file:
            stream: BinaryIO = gzip.GzipFile(fileobj=file) if is_gzip else file  # type: ignore[assignment]
            unpacked = 0
            while True:
                try:
                    piece = stream.read(size)
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    what = f"the gzip file is truncated or damaged ({reason_of(error).lower()})."
                    raise self.bad(what, fix="make or download the file again.") from None
                except OSError as error:
                    raise self.bad(
                        f"cannot be read: {reason_of(error).lower()}.", fix="check the disk it is on."
                    ) from None
                if not piece:
                    return
                unpacked += len(piece)
                if is_gzip and unpacked > RATIO_FROM and unpacked > MOST_RATIO * file.tell():
                    raise ArtefactError(
                        f"refused: its first {file.tell():,} bytes unpack to more than {unpacked:,}.",
                        where=self.shown,
                        fix="unpack it yourself, look at it, and give the plain file.",
                    )
                yield piece


def refuse_other_formats(raw: RawTable, head: bytes) -> None:
    """Raise DataError if the first bytes clearly belong to something else, saying what the file is."""
    for magic, what, fix in _OTHER_FORMATS:
        if head.startswith(magic):
            if what == "a zip archive" and re.search(rb"xl/|\[Content_Types\]\.xml", head):
                what, fix = "an Excel workbook", "save the sheet as CSV in the spreadsheet program."
            raise raw.bad(f"is not a text table: it is {what}.", fix=fix)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:64].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<table")):
        what = "is not a text table: it is an HTML or XML page (perhaps the error page of a download)."
        raise raw.bad(what, fix="download the file itself, or save the table as CSV.")
    if re.match(rb'\{\s*"|\[\s*[\[{]', start):
        raise raw.bad("is not a text table: it is JSON.", fix="convert it to CSV or Parquet.")


def is_binary(head: bytes) -> bool:
    """Whether these first bytes are not text in any encoding that extends ASCII."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        is_cut = error.reason == "unexpected end of data"
        return not is_cut and 20 * len(_CONTROLS.findall(head)) > len(head)
    return False


def quoted(text: object) -> str:
    """A cell, a name or the start of a row for a message: short, in quotes, printable."""
    text = str(text)
    return f"'{display_name(text[:SHOWN_CHARACTERS])}{'...' if len(text) > SHOWN_CHARACTERS else ''}'"
