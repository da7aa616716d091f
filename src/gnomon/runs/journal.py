"""A list of records that only grows: JSON lines with a checksum each; a torn last line is dropped."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar, final

from gnomon.core.errors import ArtefactError
from gnomon.core.plain import parse_json, read_as
from gnomon.runs import reader, writer
from gnomon.runs.seal import RESTORE

Record = TypeVar("Record")

_LINE = re.compile(rb'(\{.*),"crc":"([0-9a-f]{8})"\}', re.DOTALL)
LIMIT = 64 << 20  # bytes of a journal that are read: 100,000 epochs with the signals of ten layers each are fewer


@final
class Journal(Generic[Record]):
    """The journal `name` in the folder `root`. Every line is on the disk when `append` returns.

    `kind` is the type of a record (see `core.plain`), `limit` the most bytes to read.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        kind: Any = dict,
        *,
        limit: int = LIMIT,
        before_writing: Callable[[], None] = lambda: None,
    ) -> None:
        self.root, self.name = root, name
        self._kind, self._limit, self._before_writing = kind, limit, before_writing
        self._end_is_whole = False

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record of plain JSON values, not empty, without a key "crc". Raises MachineError."""
        self._before_writing()
        line = encode_line(record)
        if not self._end_is_whole:
            self._cut_torn_end()
        self._end_is_whole = False  # until the line is known to be whole
        writer.append_line(self.root / self.name, line)
        self._end_is_whole = True

    def read(self) -> list[Record]:
        """All records, without a torn last one; none if nothing was ever written.

        Raises ArtefactError naming the line for damage that no crash can explain, and for a record of another kind.
        """
        where = str(self.root / self.name)
        return [
            read_as(self._kind, record, where=where, root=f"line {number}", fix=RESTORE)
            for number, record in enumerate(self._parse()[0], start=1)
        ]

    def keep_first(self, count: int) -> None:
        """Drop all records after the first `count`, and a torn end: what a resumed run will write again.

        Raises ArtefactError if there are fewer.
        """
        self._before_writing()
        records, _, torn = self._parse()
        if len(records) < count:
            what = f"has {len(records)} records, but the run wrote {count}."
            raise ArtefactError(what, where=str(self.root / self.name), fix=RESTORE)
        if torn or len(records) > count:
            writer.write_bytes(self.root / self.name, b"".join(encode_line(each) + b"\n" for each in records[:count]))

    def torn(self) -> str:
        """What is wrong with the last line, "" if it is fine."""
        return self._parse()[2]

    def _cut_torn_end(self) -> None:
        _, whole, torn = self._parse()
        if torn:
            writer.write_bytes(self.root / self.name, whole)

    def _parse(self) -> tuple[list[dict[str, Any]], bytes, str]:
        """The records, the bytes that hold them, and what was dropped at the end."""
        path = self.root / self.name
        if not path.exists() and not path.is_symlink():
            return [], b"", ""
        data = reader.read_file(self.root, self.name, limit=self._limit)
        records: list[dict[str, Any]] = []
        start = 0
        while start < len(data):
            end = data.find(b"\n", start)
            line = data[start:] if end < 0 else data[start:end]
            record = decode_line(line)
            if record is None or end < 0:
                self._check_is_torn(data, start, end, len(records) + 1)
                return records, data[:start], f"line {len(records) + 1} is torn"
            records.append(record)
            start = end + 1
        return records, data, ""

    def _check_is_torn(self, data: bytes, start: int, end: int, number: int) -> None:
        """A crash leaves a line without its end, or with pages of zeros in it, and only as the very last one."""
        is_last = end < 0 or end + 1 == len(data)
        has_extra = end < 0 and decode_line(data[start:-1]) is not None  # whole, but its newline has changed
        if not is_last or has_extra or (end >= 0 and b"\0" not in data[start:end]):
            raise ArtefactError(
                f"line {number} is damaged: its checksum does not match.", where=str(self.root / self.name), fix=RESTORE
            )


def encode_line(record: Mapping[str, Any]) -> bytes:
    """One line without its newline: the record's JSON with the CRC-32 of the preceding text as last key."""
    if not record or "crc" in record:
        raise ValueError("a record has at least one key, and none called 'crc'")
    body = json.dumps(dict(record), separators=(",", ":")).encode("ascii")[:-1]
    return body + b',"crc":"%08x"}' % zlib.crc32(body)


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The record of a line, None if the line is not one that `encode_line` wrote."""
    match = _LINE.fullmatch(line)
    if not match or zlib.crc32(match[1]) != int(match[2], 16):
        return None
    try:
        record = parse_json(match[1] + b"}")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
