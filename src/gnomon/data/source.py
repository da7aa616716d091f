"""Open what the user hands over (path, archive, name of a set, arrays, frame) without judging what task it is for."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gnomon.core.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


@dataclass(frozen=True, slots=True)
class File:
    """One regular file of a tree."""

    name: str  # path inside the tree, "/" between parts: "train/cat/001.jpg"; show it through display_name
    size: int  # bytes


class Tree(Protocol):
    """Files below a folder, or inside a zip or tar: the same to every reader. Never written to."""

    @property
    def origin(self) -> str:
        """What to call it in messages: the path the user gave."""

    @property
    def files(self) -> Sequence[File]:
        """Regular files in name order (given as a list: in that order); hidden files and system litter left out."""

    @property
    def notes(self) -> Sequence[str]:
        """What was skipped while listing, and why."""

    def read(self, name: str) -> bytes:
        """The whole content of one file. Raises DataError when it is gone, changed since it was listed, or unreadable.

        Safe to call from several threads. Look at `File.size` first: nothing here limits it.
        """


@dataclass(frozen=True)
class Arrays:
    """Examples already in memory."""

    inputs: np.ndarray  # (N, D) numbers, (N, H, W) or (N, H, W, C) pictures
    targets: np.ndarray | None  # (N,) or (N, targets)
    target_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()  # names of the integer classes 0 .. K-1, where known
    feature_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What the user handed over, opened but not yet read. Exactly one of `tree`, `table`, `frame`, `arrays` is set."""

    name: str  # short: "pets", "digits"; names the run
    origin: str  # full: absolute path, "scikit-learn digits", "arrays in memory"
    tree: Tree | None = None
    table: str | None = None  # path of a CSV, TSV or Parquet file
    frame: pl.DataFrame | None = None
    arrays: Arrays | None = None
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


TABLE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
OF_A_RUN = ("manifest.json", "settings.toml", "splits.parquet")
UNREAD_ARCHIVE_SUFFIXES = (".7z", ".rar", ".tar.zst", ".tar.lz4")


def open_source(thing: Any) -> Source:
    """Open a path, archive, set's name, (X, y), array, polars or pandas frame, torch Dataset, or list of files.

    Raises UsageError for a name that is neither a path nor a set (with the nearest names), DataError for a path that
    cannot be read, ArtefactError for an archive refused as unsafe.
    """
    if isinstance(thing, str | os.PathLike):
        return _open_path_or_set(os.fsdecode(thing))
    if isinstance(thing, list | tuple) and thing and all(isinstance(part, str | os.PathLike) for part in thing):
        paths = [os.fsdecode(part) for part in thing]
        return _open_path_or_set(paths[0]) if len(paths) == 1 else _open_files(paths)
    from gnomon.data.in_memory import open_object

    return open_object(thing)


def _open_path_or_set(text: str) -> Source:
    from gnomon.data import named

    path = os.path.expanduser(text)  # noqa: PTH111  # Path() would refuse a NUL and drop a trailing "/."
    try:
        exists = os.path.lexists(path)
    except ValueError:  # a NUL inside
        exists = False
    set_name = text.lower().replace("_", "-")
    if exists:
        notes: tuple[str, ...] = ()
        if set_name in named.NAMES:
            notes = (
                f"{text} is taken for the path of that name, not for scikit-learn's set: rename the path to get that",
            )
        return _open_path(path, notes)
    if set_name in named.NAMES:
        return named.open_set(set_name)
    raise _not_there(text)


def _not_there(text: str) -> UsageError:
    shown = display_name(text)[:300] or "''"
    fix = _nearest(os.path.expanduser(text), text.lower().replace("_", "-"))  # noqa: PTH111
    return UsageError(f"there is no file, folder or set named {shown}.", fix=fix)


def _nearest(path: str, set_name: str) -> str:
    from gnomon.data.named import NAMES

    folder, _, leaf = path.rpartition("/")
    try:
        with os.scandir(folder or "/" * path.startswith("/") or ".") as entries:
            beside = [entry.name for entry in itertools.islice(entries, 10_000) if not entry.name.startswith(".")]
    except (OSError, ValueError):
        beside = []
    near = difflib.get_close_matches(leaf, beside, n=2, cutoff=0.6)
    near_paths = [f"{folder}/{name}" if "/" in path else name for name in near]
    candidates = near_paths + difflib.get_close_matches(set_name, NAMES, n=2)
    if candidates:
        return f"did you mean {' or '.join(map(display_name, dict.fromkeys(candidates)))}?"
    return f"give the path of a folder, archive or table, or one of the sets {', '.join(NAMES)}."


def _open_path(path: str, notes: tuple[str, ...]) -> Source:
    from gnomon.data.trees import FilesTree, FolderTree

    mode = _mode(path)
    origin = display_name(os.path.abspath(path))  # noqa: PTH100  # Path.absolute keeps ".."
    name = _short_name(path)
    if stat.S_ISDIR(mode):
        if all(os.path.isfile(os.path.join(path, file)) for file in OF_A_RUN):  # noqa: PTH113, PTH118  # False if locked
            raise DataError(
                "this is a folder that gnomon wrote, of a run or a search, not data.",
                where=display_name(path),
                fix="give the data that it was made from.",
            )
        return Source(name, origin, tree=_not_empty(FolderTree(path)), notes=notes)
    if not stat.S_ISREG(mode):
        kind = "named pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
        raise DataError(f"this is a {kind}, not data.", where=display_name(path), fix="give a file or a folder.")
    lower = path.lower()
    if lower.endswith(TABLE_SUFFIXES):
        return Source(name, origin, table=path, notes=notes)
    if lower.endswith(UNREAD_ARCHIVE_SUFFIXES):
        raise DataError(
            "archives of this kind are not read.",
            where=display_name(path),
            fix="unpack it and give the folder, or pack it as .zip or .tar.",
        )
    if lower.endswith(ARCHIVE_SUFFIXES):
        from gnomon.data.archives import open_archive

        return Source(name, origin, tree=_not_empty(open_archive(path)), notes=notes)
    return Source(name, origin, tree=FilesTree([path]), notes=notes)


def _open_files(paths: list[str]) -> Source:
    from gnomon.data.trees import FilesTree

    for path in paths:
        if not os.path.lexists(path):
            raise _not_there(path)
        if not stat.S_ISREG(_mode(path)):
            raise UsageError(
                f"{display_name(path)} is not a file; several things at once must all be files.",
                fix="give one folder, or a list of files.",
            )
        if path.lower().endswith(TABLE_SUFFIXES + ARCHIVE_SUFFIXES):
            raise UsageError(
                f"{display_name(path)} is a table or an archive, and several things were given.",
                fix="give tables and archives one at a time.",
            )
    return Source("files", f"{len(paths)} files, the first {display_name(paths[0])}", tree=FilesTree(paths))


def _mode(path: str) -> int:
    try:
        return Path(path).stat().st_mode
    except FileNotFoundError:
        what = "this link leads nowhere." if os.path.islink(path) else "there is no such file."  # noqa: PTH114
        raise DataError(what, where=display_name(path), fix="check the path.") from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"it cannot be opened: {reason_of(error)}.",
            where=display_name(path)[:300],
            fix="check the path and your rights on it.",
        ) from None


def _not_empty(tree: Tree) -> Tree:
    if not tree.files:
        seen = f" ({'; '.join(tree.notes)})" if tree.notes else ""
        raise DataError(
            f"there are no files in it{seen}.", where=tree.origin, fix="put data into it, or give another path."
        )
    return tree


def _short_name(path: str) -> str:
    leaf = os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119  # "." and "a/.." have names of their own
    for suffix in sorted(TABLE_SUFFIXES + ARCHIVE_SUFFIXES, key=len, reverse=True):
        if leaf.lower().endswith(suffix) and len(leaf) > len(suffix):
            leaf = leaf[: -len(suffix)]
            break
    return display_name(leaf) or "data"


# --- names as people may safely see them ---------------------------------------------------------------------------

# Backslash, C0 and C1 controls, marks that reorder or hide text, line separators, and the lone surrogates that stand
# for bytes that are not UTF-8.
_UNSAFE = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def display_name(name: str) -> str:
    r"""A name that can be printed, stored as UTF-8 and told apart from every other: `a\n` -> `a\\n`, byte ff -> `\xff`.

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
