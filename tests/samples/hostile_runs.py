"""Runs that somebody tampered with: every file of a run, wrong in every way, under checksums that match.

A checksum only says that a file is as its last writer left it, and anybody can compute one. `artefacts` gives a damaged
version of each file of a run in turn, `forge` puts one into a copy of the run.
"""

from __future__ import annotations

import copy
import io
import json
import math
import os
import shutil
import sqlite3
import tomllib
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import safetensors.torch
import torch

from gnomon.runs import writer
from gnomon.runs.seal import encode_sealed

MANIFEST = "manifest.json"


def nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


GONE, MORE = object(), object()  # an entry taken away; one that nobody knows put beside it
VALUES: dict[str, Any] = {  # what stands where something else should
    "gone": GONE, "more": MORE, "null": None, "true": True, "zero": 0, "minus": -1, "half": 0.5, "huge": 10**30,
    "large": 10**15, "1e308": 1e308, "-1e308": -1e308, "tiny": 5e-324, "nan": math.nan, "inf": math.inf, "text": "x",
    "empty": "", "number text": "1", "inf text": "inf", "surrogate": "\ud800", "way out": "../../../etc/passwd",
    "nul": "a\0b", "long": "x" * 100_000, "list": [], "object": {}, "lists": [[]], "objects": [{}], "deep": nested(30),
    "deeper": nested(900), "odd key": {"\ud800": {"": None}}, "numbers": [1, 2, 3], "markup": "<script>x()</script>",
}  # fmt: skip


@dataclass(frozen=True)
class Artefact:
    """One file of a run with other content. `data` None: it is gone; a function puts something else in its place."""

    file: str  # relative to the run
    what: str
    data: bytes | Callable[[Path], None] | None
    is_sealed: bool = True  # the checksums match

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


# --- content ----------------------------------------------------------------------------------------------------------
def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every entry of a plain value, outer ones first; of a list, to the first and the last entry."""
    entries = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, entry in entries if isinstance(value, dict) else entries[:1] + entries[1:][-1:]:
        yield (*place, key)
        yield from places(entry, (*place, key))


def changed(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """A copy with `other` at that place."""
    found = copy.deepcopy(value)
    inside = found
    for key in place[:-1]:
        inside = inside[key]
    if other is GONE:
        del inside[place[-1]]
    elif other is MORE:
        if isinstance(inside, dict):
            inside["unheard of"] = {"__class__": "os.system"}
        else:
            inside.append(inside[place[-1]])
    else:
        inside[place[-1]] = other
    return found


def of_json(value: Any) -> Iterator[tuple[str, Any]]:
    """Every place of a plain value with every hostile value in it."""
    for place in places(value):
        for name, other in VALUES.items():
            yield f"{'.'.join(map(str, place))} {name}", changed(value, place, other)
    for name, other in VALUES.items():
        if other not in (GONE, MORE):
            yield f"all of it {name}", other


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def line_of(record: Any) -> bytes:
    """As runs.journal.encode_line, of anything."""
    body = json.dumps(record, separators=(",", ":")).encode()[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def records(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [{key: value for key, value in record.items() if key != "crc"} for record in found]


def of_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The first record of each shape, changed in every place."""
    rows, seen = records(path), set()
    for number, row in enumerate(rows):
        shape = (row.get("event"), row.get("kind"), tuple(sorted(row)))
        if shape in seen:
            continue
        seen.add(shape)
        for what, other in of_json(row):
            if isinstance(other, dict) and other:
                lines = [line_of(other if place == number else each) for place, each in enumerate(rows)]
                yield f"line {number + 1}: {what}", b"".join(lines)
    yield "twice", b"".join(map(line_of, rows + rows))
    yield "the last line alone", line_of(rows[-1])
    yield "none", b""


TABLE_CHANGES: dict[str, Callable[[pl.Series], pl.Series]] = {
    "text": lambda s: s.cast(pl.String, strict=False).fill_null("x"),
    "whole": lambda s: pl.Series(s.name, range(len(s)), dtype=pl.Int64),
    "negative": lambda s: pl.Series(s.name, [-1] * len(s), dtype=pl.Int8),
    "float": lambda s: pl.Series(s.name, [0.5] * len(s)),
    "nan": lambda s: pl.Series(s.name, [math.nan] * len(s)),
    "inf": lambda s: pl.Series(s.name, [math.inf] * len(s)),
    "1e308": lambda s: pl.Series(s.name, [1e308] * len(s)),
    "-1e308": lambda s: pl.Series(s.name, [-1e308] * len(s)),
    "zero": lambda s: pl.Series(s.name, [0.0] * len(s)),
    "true": lambda s: pl.Series(s.name, [True] * len(s)),
    "gaps": lambda s: pl.Series(s.name, [None] * len(s), dtype=s.dtype),
    "a gap": lambda s: pl.Series(s.name, [None, *s.to_list()[1:]][: len(s)], dtype=s.dtype),
    "nothing": lambda s: pl.Series(s.name, [None] * len(s), dtype=pl.Null),
    "lists": lambda s: pl.Series(s.name, [[1]] * len(s)),
    "structs": lambda s: pl.Series(s.name, [{"a": 1}] * len(s)),
    "bytes": lambda s: pl.Series(s.name, [b"\xff"] * len(s)),
    "dates": lambda s: pl.Series(s.name, [date(9999, 12, 31)] * len(s)),
    "categories": lambda s: s.cast(pl.String, strict=False).cast(pl.Categorical),
    "decimals": lambda s: pl.Series(s.name, [1] * len(s)).cast(pl.Decimal(38, 10)),
    "128 bits": lambda s: pl.Series(s.name, [2**100] * len(s), dtype=pl.Int128),
    "64 bits": lambda s: pl.Series(s.name, [2**64 - 1] * len(s), dtype=pl.UInt64),
    "one text": lambda s: pl.Series(s.name, ["x"] * len(s)),
    "long text": lambda s: pl.Series(s.name, ["x" * 10_000] * len(s)),
}  # fmt: skip


def of_table(path: Path) -> Iterator[tuple[str, bytes]]:
    table = pl.read_parquet(path)
    for name in table.columns:
        yield f"without {name}", parquet(table.drop(name))
        for what, change in TABLE_CHANGES.items():
            yield f"{name} {what}", parquet(table.with_columns(change(table[name])))
    yield "no rows", parquet(table.clear())
    yield "no columns", parquet(pl.DataFrame())
    yield "one row", parquet(table.head(1))
    yield "twice", parquet(pl.concat([table, table]))
    yield "another table", parquet(pl.DataFrame({"a": [1]}))


def parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def of_tensors(data: bytes) -> Iterator[tuple[str, bytes]]:
    tensors = safetensors.torch.load(data)
    for name, tensor in list(tensors.items())[:3] + list(tensors.items())[-1:]:
        changes = {
            "gone": None, "empty": torch.zeros(0), "flat": tensor.reshape(-1),
            "wider": torch.cat([tensor.reshape(1, -1)] * 2),
            "nan": torch.full_like(tensor.float(), math.nan), "inf": torch.full_like(tensor.float(), math.inf),
            "1e308": torch.full(tensor.shape, 1e308, dtype=torch.float64), "double": tensor.double(),
            "whole": torch.full(tensor.shape, 2**62), "bool": torch.ones(tensor.shape, dtype=torch.bool),
            "half": torch.full(tensor.shape, 60_000.0, dtype=torch.float16), "complex": tensor.to(torch.complex64),
        }  # fmt: skip
        for what, other in changes.items():
            rest = {key: value for key, value in tensors.items() if key != name}
            yield (
                f"{name} {what}",
                safetensors.torch.save(rest if other is None else {**rest, name: other.contiguous()}),
            )
    yield "none", safetensors.torch.save({})
    yield "one more", safetensors.torch.save({**tensors, "more": torch.zeros(3)})
    yield "huge header", (2**62).to_bytes(8, "little") + b"{}"
    header = b'{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}'
    yield "huge shape", len(header).to_bytes(8, "little") + header + bytes(4)


TOML_VALUES = ["true", "-1", "0", "1e308", "nan", "inf", "99999999999999999999", "1000000000000", '"x"', '""', "[]",
               "{}", "[[1]]", "[1, 2, 3]", "2026-01-01", '"../../../etc/passwd"', "[1e308]", "[1000000000]",
               "0.999999999999"]  # fmt: skip


def of_settings(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Each setting with each value, one at a time, in the text of the file."""
    lines, group = data.decode().splitlines(), ""
    for number, line in enumerate(lines):
        group = line if line.startswith("[") else group
        if line.startswith(("#", "[")) or "=" not in line:
            continue
        key = line.partition("=")[0]
        for value in TOML_VALUES:
            yield (
                f"{group}{key}= {value}",
                "\n".join([*lines[:number], f"{key}= {value}", *lines[number + 1 :]]).encode(),
            )
    yield "deep", data + b"\nx = " + b"[" * 5000
    yield "dotted", data + b"\n[" + b"a." * 20_000 + b"a]\n"
    yield "unknown", data + b'\n[os]\nsystem = "true"\n'
    assert tomllib.loads(data.decode())


def of_bytes(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    yield "gone", None
    yield "empty", b""
    yield "zeros", bytes(len(data))
    yield "cut in half", data[: len(data) // 2]
    yield "twice", data + data
    yield "text", b"not what it should be\n" * 10
    yield "not utf-8", b"\xff\xfe" + data
    yield "deep", b"[" * 100_000
    yield "deep objects", b'{"a":' * 100_000


# --- places on the disk -----------------------------------------------------------------------------------------------
def as_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def as_link(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/etc/passwd")


def as_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def as_second_name(path: Path) -> None:
    other = path.with_name(f"other-{path.name}")
    path.rename(other)
    os.link(other, path)


ODD_FILES = {"a folder": as_folder, "a link": as_link, "a pipe": as_pipe, "a second name": as_second_name}

STATEMENTS = {
    "a blob": "UPDATE events SET tag = x'ff00'",
    "a blob for a comment": "UPDATE events SET value = x'ff00' WHERE kind = 'comment'",
    "no utf-8": "UPDATE events SET value = CAST(x'ff80' AS TEXT)",
    "a long text": "UPDATE events SET value = printf('%3000000d', 1)",
    "an unknown kind": "UPDATE events SET kind = 'x'",
    "an unknown split": "UPDATE events SET split = 'x'",
    "numbers": "UPDATE events SET who = 1, at = 2.5, undone = 0",
    "a text for a number": "UPDATE events SET undone = 'x'",
    "odd times": "UPDATE events SET at = ''",
    "surrogates in json": "UPDATE events SET example = '\\ud800'",
    "a view": "ALTER TABLE events RENAME TO old; CREATE VIEW events AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
    "SELECT x + 1 FROM n) SELECT x AS seq, '' AS batch, '' AS at, '' AS who, 'dev' AS split, 'a' AS example, "
    "'tag' AS kind, 't' AS tag, '1' AS value, 0 AS undone FROM n",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END",
    "no table": "DROP TABLE events",
    "another version": "PRAGMA user_version = 7",
    "a virtual table": "CREATE VIRTUAL TABLE v USING fts5(a)",
}


def with_statements(statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(statements)

    return change


LOCKS = [b'{"pid": %d, "host": "HOST", "started": "x"}' % 10**30, b'{"pid": -1, "host": "HOST", "started": "x"}',
         b'{"pid": 1e400, "host": "HOST", "started": "x"}', b'{"pid": [], "host": {}, "started": 1}', b"[" * 4000,
         b"\xff", b"x" * 100_000, b'{"pid": 1, "host": "HOST", "started": "\\ud800"}']  # fmt: skip


# --- all of them ------------------------------------------------------------------------------------------------------
def artefacts(run: Path) -> Iterator[Artefact]:
    """Every file of the run in every damaged form."""
    for path in sorted(path for path in run.rglob("*") if path.is_file() and not path.is_symlink()):
        name = str(path.relative_to(run))
        if name in ("report.html", "diary.md", "lock") or name.startswith(("figures/", "tags.sqlite")):
            continue
        data = path.read_bytes()
        for what, other in of_bytes(data):
            yield Artefact(name, what, other, is_sealed=path.name != MANIFEST)
        for what, place in ODD_FILES.items():
            yield Artefact(name, what, place, is_sealed=False)
        for what, content in _of_kind(path, data):
            yield Artefact(name, what, content)
    if (run / "tags.sqlite").exists():
        yield from (Artefact("tags.sqlite", what, with_statements(each)) for what, each in STATEMENTS.items())
    host = os.uname().nodename.encode()
    for note in LOCKS:
        yield Artefact("lock", note[:40].decode(errors="replace"), note.replace(b"HOST", host))


def _of_kind(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    if path.name == MANIFEST:
        value = json.loads(data)
        for what, other in of_json({key: entry for key, entry in value.items() if key != "seal"}):
            if isinstance(other, dict):
                yield what, encode_sealed(other) if "deeper" not in what else raw(other)
    elif path.suffix == ".json":
        yield from ((what, raw(other)) for what, other in of_json(json.loads(data)))
    elif path.suffix == ".jsonl":
        yield from of_lines(path)
    elif path.suffix == ".parquet":
        yield from of_table(path)
    elif path.suffix == ".safetensors":
        yield from of_tensors(data)
    elif path.suffix == ".toml":
        yield from of_settings(data)


def forge(run: Path, artefact: Artefact) -> None:
    """Put the artefact into the run (a copy, by all means), under checksums that match where they are said to."""
    path = run / artefact.file
    if callable(artefact.data):
        artefact.data(path)
    elif artefact.data is None:
        path.unlink()
    else:
        path.write_bytes(artefact.data)
    if not artefact.is_sealed or path.name == MANIFEST or not isinstance(artefact.data, bytes):
        return
    folder = path.parent if (path.parent / MANIFEST).exists() else run
    manifest = json.loads((folder / MANIFEST).read_bytes())
    key = str(path.relative_to(folder))
    if key in manifest["files"]:
        manifest["files"][key] = writer.file_entry(artefact.data)
        del manifest["seal"]
        (folder / MANIFEST).write_bytes(encode_sealed(manifest))


def copied(run: Path, place: Path) -> Path:
    """A copy of the run that may be damaged."""
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(run, place)
    return place
