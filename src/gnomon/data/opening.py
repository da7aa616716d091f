"""Open what the user passes (path, archive, name of a set, arrays, frame) without deciding what task it is for."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import stat
from pathlib import Path
from typing import Any

from gnomon.core.errors import DataError, UsageError
from gnomon.data import named
from gnomon.data.archives import open_archive
from gnomon.data.array_files import read_array_file
from gnomon.data.in_memory import open_object
from gnomon.data.run_folders import is_of_a_run, is_run, without_runs
from gnomon.data.source import ARCHIVE_SUFFIXES, ARRAY_SUFFIXES, TABLE_SUFFIXES, Source, Tree, display_name, reason_of
from gnomon.data.trees import FilesTree, FolderTree

UNREAD_ARCHIVE_SUFFIXES = (".7z", ".rar", ".tar.zst", ".tar.lz4")


def open_source(thing: Any, runs_folder: str | None = None, *, may_be_text: bool = False) -> Source:
    """Open a path, archive, set's name, (X, y), array, polars or pandas frame, torch Dataset, or list of files.

    What gnomon itself wrote is left out: run folders, and all that lies in `runs_folder`. If it `may_be_text`, what
    names nothing and does not look like a path is a text itself.
    Raises UsageError for a name that is neither a path nor a set (with the nearest names), DataError for a path that
    cannot be read, ArtefactError for an archive refused as unsafe.
    """
    if may_be_text and (texts := _texts_in(thing)):
        return Source("text", "a text given as it is", texts=texts)
    if isinstance(thing, str | os.PathLike):
        return _open_path_or_set(os.fsdecode(thing), runs_folder)
    if isinstance(thing, list | tuple) and thing and all(isinstance(part, str | os.PathLike) for part in thing):
        paths = [os.fsdecode(part) for part in thing]
        return _open_path_or_set(paths[0], runs_folder) if len(paths) == 1 else _open_files(paths)
    return open_object(thing)


_LIKE_A_PATH = re.compile(r"(?:\S*/\S*|\S+\.\w{1,5})")  # "no/space", "names.txt"


def _texts_in(thing: Any) -> tuple[str, ...]:
    """Texts given as they are, instead of files; none if one of them is there as a file, or looks like its name."""
    texts = [thing] if isinstance(thing, str) else thing
    if not isinstance(texts, list | tuple) or not all(isinstance(one, str) for one in texts):
        return ()
    are_names = any(_LIKE_A_PATH.fullmatch(one) or "\0" in one or os.path.lexists(one) for one in texts)
    return () if are_names else tuple(texts)


def _open_path_or_set(text: str, runs_folder: str | None) -> Source:
    path = os.path.expanduser(text)  # noqa: PTH111  # Path() would refuse a NUL and drop a trailing "/."
    try:
        exists = os.path.lexists(path)
    except ValueError:  # a NUL inside
        exists = False
    set_name = text.lower().replace("_", "-")
    if exists:
        notes: tuple[str, ...] = ()
        if set_name in named.NAMES:
            notes = (f"{text} is the path of that name, not scikit-learn's set: rename the path to use the set",)
        return _open_path(path, notes, runs_folder)
    if set_name in named.NAMES:
        return named.open_set(set_name)
    raise _not_there(text)


def _not_there(text: str) -> UsageError:
    shown = display_name(text)[:300] or "''"
    fix = _nearest(os.path.expanduser(text), text.lower().replace("_", "-"))  # noqa: PTH111
    return UsageError(f"there is no file, folder or set named {shown}.", fix=fix)


def _nearest(path: str, set_name: str) -> str:
    folder, _, leaf = path.rpartition("/")
    try:
        with os.scandir(folder or "/" * path.startswith("/") or ".") as entries:
            beside = [entry.name for entry in itertools.islice(entries, 10_000) if not entry.name.startswith(".")]
    except (OSError, ValueError):
        beside = []
    near = difflib.get_close_matches(leaf, beside, n=2, cutoff=0.6)
    near_paths = [f"{folder}/{name}" if "/" in path else name for name in near]
    candidates = near_paths + difflib.get_close_matches(set_name, named.NAMES, n=2)
    if candidates:
        return f"did you mean {' or '.join(map(display_name, dict.fromkeys(candidates)))}?"
    return f"give the path of a folder, archive or table, or one of the sets {', '.join(named.NAMES)}."


def _open_path(path: str, notes: tuple[str, ...], runs_folder: str | None) -> Source:
    mode = _mode(path)
    origin = display_name(os.path.abspath(path))  # noqa: PTH100  # Path.absolute keeps ".."
    name = _short_name(path)
    if stat.S_ISDIR(mode):
        if is_run(path):
            raise DataError(
                "this is a folder that gnomon wrote, of a run or a search, not data.",
                where=display_name(path),
                fix="give the data that it was made from.",
            )
        tree, about = without_runs(FolderTree(path), path, runs_folder)
        return Source(name, origin, tree=_not_empty(tree, about), notes=(*notes, *about))
    if not stat.S_ISREG(mode):
        kind = "named pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
        raise DataError(f"this is a {kind}, not data.", where=display_name(path), fix="give a file or a folder.")
    if is_of_a_run(path):
        raise DataError(
            "this file belongs to a run that gnomon wrote: it is not data.",
            where=display_name(path),
            fix="give the data that the run was made from.",
        )
    lower = path.lower()
    if lower.endswith(TABLE_SUFFIXES):
        return Source(name, origin, table=path, notes=notes)
    if lower.endswith(ARRAY_SUFFIXES):
        arrays, about = read_array_file(path)
        return Source(name, origin, arrays=arrays, notes=(*notes, *about))
    if lower.endswith(UNREAD_ARCHIVE_SUFFIXES):
        raise DataError(
            "archives of this kind are not supported.",
            where=display_name(path),
            fix="unpack it and give the folder, or pack it as .zip or .tar.",
        )
    if lower.endswith(ARCHIVE_SUFFIXES):
        tree, about = without_runs(open_archive(path), path, None)
        return Source(name, origin, tree=_not_empty(tree, about), notes=(*notes, *about))
    return Source(name, origin, tree=FilesTree([path]), notes=notes)


def _open_files(paths: list[str]) -> Source:
    for path in paths:
        if not os.path.lexists(path):
            raise _not_there(path)
        if not stat.S_ISREG(_mode(path)):
            raise UsageError(
                f"{display_name(path)} is not a file; if you give several paths, all must be files.",
                fix="give one folder, or a list of files.",
            )
        if path.lower().endswith(TABLE_SUFFIXES + ARCHIVE_SUFFIXES + ARRAY_SUFFIXES):
            kind = "a file of arrays" if path.lower().endswith(ARRAY_SUFFIXES) else "a table or an archive"
            raise UsageError(
                f"{display_name(path)} is {kind}, and several paths were given.",
                fix="give tables, archives and arrays one at a time.",
            )
    return Source("files", f"{len(paths)} files, the first {display_name(paths[0])}", tree=FilesTree(paths))


def _mode(path: str) -> int:
    try:
        return Path(path).stat().st_mode
    except FileNotFoundError:
        what = "this link is broken." if os.path.islink(path) else "there is no such file."  # noqa: PTH114
        raise DataError(what, where=display_name(path), fix="check the path.") from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"it cannot be opened: {reason_of(error)}.",
            where=display_name(path)[:300],
            fix="check the path and its permissions.",
        ) from None


def _not_empty(tree: Tree, about: tuple[str, ...]) -> Tree:
    if not tree.files:
        notes = (*tree.notes, *about)
        seen = f" ({'; '.join(notes)})" if notes else ""
        raise DataError(
            f"there are no files in it{seen}.", where=tree.origin, fix="put data into it, or give another path."
        )
    return tree


def _short_name(path: str) -> str:
    leaf = os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119  # "." and "a/.." have names of their own
    for suffix in sorted(TABLE_SUFFIXES + ARCHIVE_SUFFIXES + ARRAY_SUFFIXES, key=len, reverse=True):
        if leaf.lower().endswith(suffix) and len(leaf) > len(suffix):
            leaf = leaf[: -len(suffix)]
            break
    return display_name(leaf) or "data"
