"""A source, opened but not yet read (files, a table, a frame, arrays); and names that are safe to display."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


@dataclass(frozen=True, slots=True)
class File:
    """One regular file of a tree."""

    name: str  # path inside the tree, "/" between parts: "train/cat/001.jpg"; display it through display_name
    size: int  # bytes


class Tree(Protocol):
    """Files below a folder, or inside a zip or tar: the same to every reader. Never written to."""

    @property
    def origin(self) -> str:
        """What to call it in messages: the path the user gave."""

    @property
    def files(self) -> Sequence[File]:
        """Regular files in name order (given as a list: in that order), without hidden files and system litter."""

    @property
    def notes(self) -> Sequence[str]:
        """What was skipped while listing, and why."""

    def read(self, name: str) -> bytes:
        """The whole content of one file. Raises DataError if it is gone, changed since it was listed, or unreadable.

        Thread-safe. Check `File.size` first: nothing here limits it.
        """


@dataclass(frozen=True)
class Arrays:
    """Examples already in memory."""

    inputs: np.ndarray  # (N, D) numbers, or pictures, signals, volumes as their layout says
    targets: np.ndarray | None  # (N,) or (N, targets)
    target_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()  # names of the integer classes 0 .. K-1, if known
    feature_names: tuple[str, ...] = ()
    splits: tuple[tuple[str, int], ...] = ()  # its own: the first so many are "train", the next "dev" ...


@dataclass(frozen=True)
class Source:
    """What the user passed, opened but not yet read. One of `tree`, `table`, `frame`, `arrays`, `texts` is set."""

    name: str  # short: "pets", "digits"; names the run
    origin: str  # full: absolute path, "scikit-learn digits", "arrays in memory"
    tree: Tree | None = None
    table: str | None = None  # path of a CSV, TSV or Parquet file
    frame: pl.DataFrame | None = None
    targets: tuple[str, ...] = ()  # columns of the frame that were passed as its targets
    arrays: Arrays | None = None
    texts: tuple[str, ...] = ()  # given as they are, to predict
    notes: tuple[str, ...] = ()  # what opening it decided: converted tensors, a path that hides a set of the same name

    def summary(self) -> str:
        """What is in it, in a few words, before anything is read: `found 60 files (.png 60)`."""
        if self.tree is not None:
            kinds = Counter(os.path.splitext(file.name)[1].lower() or "no suffix" for file in self.tree.files)  # noqa: PTH122
            shown = ", ".join(f"{display_name(kind)} {count:,}" for kind, count in kinds.most_common(3))
            return f"found {counted(len(self.tree.files), 'file')} ({shown})"
        if self.frame is not None:
            return f"found a frame of {counted(self.frame.height, 'row')} and {counted(self.frame.width, 'column')}"
        if self.arrays is not None:
            shape = "x".join(map(str, self.arrays.inputs.shape))
            return f"found an array of {shape} {'without' if self.arrays.targets is None else 'with'} targets"
        return "found a table"


ARRAY_SUFFIXES = (".npz", ".npy")
TABLE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")


# --- names that are safe to display --------------------------------------------------------------------------------

# Backslash, C0 and C1 controls, marks that reorder or hide text, line separators, and the lone surrogates that
# represent bytes that are not UTF-8.
_UNSAFE = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def display_name(name: str) -> str:
    r"""A unique name that can be printed and stored as UTF-8: `a\n` -> `a\\n`, byte ff -> `\xff`.

    Two different names never share a display name, so it serves as an id.
    """
    if name.isascii() and name.isprintable() and "\\" not in name:
        return name
    return _UNSAFE.sub(_escaped, name)


def _escaped(match: re.Match[str]) -> str:
    char, code = match[0], ord(match[0])
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's stand-in for the byte code - 0xDC00
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"


def first_names(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 9 more`, each safe to print."""
    shown = ", ".join(display_name(name) for name in names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def listed(what: str, names: Sequence[str]) -> str:
    """A note: `broken links skipped: 2 (a.png, b.png)`."""
    return f"{what}: {len(names):,} ({first_names(names)})"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 file`, `12,000 files`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def reason_of(error: Exception) -> str:
    """An operating system error without the path it repeats."""
    return getattr(error, "strerror", None) or str(error)


def look_alike(name: str, others: Iterable[str]) -> str:
    """Which of the others looks the same as `name` in print but is written with other bytes, and how; "" if none is."""
    form = unicodedata.normalize("NFKC", name)
    twin = next((one for one in others if one != name and unicodedata.normalize("NFKC", one) == form), None)
    if twin is None:
        return ""
    ours, theirs = (one.encode("utf-8", "surrogateescape") for one in (name, twin))
    start = _shared(ours, theirs)
    end = _shared(ours[start:][::-1], theirs[start:][::-1])
    parts = [text[start : len(text) - end].hex(" ") or "nothing" for text in (ours, theirs)]
    return f"{display_name(name)} looks like {display_name(twin)} but has the bytes {parts[0]} in place of {parts[1]}"


def _shared(one: bytes, two: bytes) -> int:
    """How many bytes both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
