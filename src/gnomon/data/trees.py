"""A folder, or several files, as a tree: listed once, links and special files handled explicitly, never written to."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from gnomon.core.errors import DataError
from gnomon.data.source import File, counted, display_name, listed, reason_of

_LITTER = frozenset({"__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r", "$RECYCLE.BIN"})


def is_litter(part: str) -> bool:
    """Whether one part of a path is hidden or left behind by an operating system (.DS_Store, __MACOSX, Thumbs.db)."""
    return part.startswith(".") or part in _LITTER


def common_folder(names: Sequence[str]) -> str:
    """The deepest folder that contains all of `names`, with its "/" at the end ("cifar/"); "" if there is none."""
    if not names:
        return ""
    low, high = min(names).split("/")[:-1], max(names).split("/")[:-1]
    shared = []
    for a, b in zip(low, high, strict=False):
        if a != b:
            break
        shared.append(a)
    return "".join(f"{part}/" for part in shared)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A regular file as it was when it was listed."""

    name: str
    path: str
    size: int
    modified: int  # nanoseconds
    inode: tuple[int, int]  # device, inode


def _entry(path: str, name: str, found: os.stat_result) -> _Entry:
    return _Entry(name, path, found.st_size, found.st_mtime_ns, (found.st_dev, found.st_ino))


@final
class FolderTree:
    """The files below a folder. Links are followed once, and only to places inside the folder."""

    def __init__(self, root: str) -> None:
        """List the folder. Raises DataError if it cannot be opened."""
        self._root = root
        listing = _Listing(root)
        self._entries = {entry.name: entry for entry in sorted(listing.entries, key=lambda entry: entry.name)}
        self._files = tuple(File(entry.name, entry.size) for entry in self._entries.values())
        self._notes = listing.notes()

    @property
    def origin(self) -> str:
        return display_name(self._root)

    @property
    def files(self) -> Sequence[File]:
        return self._files

    @property
    def notes(self) -> Sequence[str]:
        return self._notes

    def path(self, name: str) -> str:
        """Where the file is."""
        return self._entries[name].path

    def read(self, name: str) -> bytes:
        return _read(self._entries[name])


@final
class FilesTree:
    """Several files by their paths, in the order given; a file given twice counts once."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Raises DataError for a path that is not a regular file."""
        self._entries: dict[str, _Entry] = {}
        for path in dict.fromkeys(paths):
            try:
                found = os.stat(path)  # noqa: PTH116  # Path would normalise the name, which is the id
            except OSError as error:
                raise DataError(
                    f"it cannot be opened: {reason_of(error)}.", where=display_name(path), fix="check the path."
                ) from None
            if not stat.S_ISREG(found.st_mode):
                raise DataError("this is not a regular file.", where=display_name(path), fix="give files only.")
            self._entries[path] = _entry(path, path, found)
        self._files = tuple(File(entry.name, entry.size) for entry in self._entries.values())
        self._twice = len(paths) - len(self._entries)

    @property
    def origin(self) -> str:
        first, *more = self._entries
        return f"{display_name(first)} and {counted(len(more), 'more file')}" if more else display_name(first)

    @property
    def files(self) -> Sequence[File]:
        return self._files

    @property
    def notes(self) -> Sequence[str]:
        return (f"files given more than once, counted once: {self._twice}",) if self._twice else ()

    def path(self, name: str) -> str:
        """Where the file is."""
        return self._entries[name].path

    def read(self, name: str) -> bytes:
        return _read(self._entries[name])


class _Listing:
    """One walk over a folder, in name order, without recursion: real files first, then what only links lead to."""

    def __init__(self, root: str) -> None:
        self.entries: list[_Entry] = []
        self._root = os.path.realpath(root)
        self._skipped: dict[str, list[str]] = defaultdict(list)  # reason -> names
        self._folders: set[tuple[int, int]] = set()  # (device, inode) of every folder entered
        self._inodes: set[tuple[int, int]] = set()  # of every file listed; only filled if there are links
        self._links: list[tuple[str, str]] = []  # path, name
        try:
            with os.scandir(root):
                pass
        except OSError as error:
            raise DataError(
                f"the folder cannot be opened: {reason_of(error)}.",
                where=display_name(root),
                fix="check its permissions.",
            ) from None
        self._walk(root, "")
        if self._links:
            self._inodes.update(entry.inode for entry in self.entries)
        while self._links:  # a linked folder may contain links of its own
            links, self._links = sorted(self._links, key=lambda link: link[1]), []
            for path, name in links:
                self._follow(path, name)

    def notes(self) -> tuple[str, ...]:
        return tuple(listed(reason, sorted(names)) for reason, names in self._skipped.items())

    def _walk(self, top: str, prefix: str) -> None:
        pending = [(top, prefix)]
        while pending:
            folder, prefix = pending.pop()
            try:
                found = os.stat(folder)  # noqa: PTH116
                if (found.st_dev, found.st_ino) in self._folders:
                    self._skipped["links to something already read, not followed"].append(prefix)
                    continue
                self._folders.add((found.st_dev, found.st_ino))
                with os.scandir(folder) as listed:
                    inside = list(listed)
            except OSError as error:
                self._skipped[f"folders that cannot be opened ({reason_of(error)})"].append(prefix)
                continue
            if not inside and prefix:
                self._skipped["empty folders"].append(prefix)
            pending += [(entry.path, f"{prefix}{entry.name}/") for entry in inside if self._is_folder(entry, prefix)]

    def _is_folder(self, entry: os.DirEntry[str], prefix: str) -> bool:
        """True for a folder to enter; files are listed, everything else is noted."""
        name = prefix + entry.name
        if is_litter(entry.name):
            self._skipped["hidden and system files skipped"].append(name)
            return False
        try:
            if entry.is_symlink():
                self._links.append((entry.path, name))
            elif entry.is_dir(follow_symlinks=False):
                return True
            elif entry.is_file(follow_symlinks=False):
                self._list(entry.path, name, entry.stat(follow_symlinks=False))
            else:
                self._skipped["special files (pipes, sockets, devices) skipped"].append(name)
        except OSError as error:
            self._skipped[f"inaccessible files ({reason_of(error)})"].append(name)
        return False

    def _list(self, path: str, name: str, found: os.stat_result) -> None:
        self.entries.append(_entry(path, name, found))

    def _follow(self, path: str, name: str) -> None:
        target = os.path.realpath(path)
        try:
            found = os.stat(target)  # noqa: PTH116
        except OSError:
            self._skipped["broken links skipped"].append(name)
            return
        key = (found.st_dev, found.st_ino)
        if os.path.commonpath([self._root, target]) != self._root:
            self._skipped["links out of the folder, not followed"].append(name)
        elif key in self._folders or key in self._inodes:
            self._skipped["links to something already read, not followed"].append(name)
        elif stat.S_ISDIR(found.st_mode):
            before = len(self.entries)
            self._walk(path, f"{name}/")
            self._inodes.update(entry.inode for entry in self.entries[before:])
        elif stat.S_ISREG(found.st_mode):
            self._inodes.add(key)
            self._list(path, name, found)
        else:
            self._skipped["special files (pipes, sockets, devices) skipped"].append(name)


def _read(entry: _Entry) -> bytes:
    where = display_name(entry.name)
    try:
        # Non-blocking: a pipe put in the file's place would otherwise block the run for ever.
        handle = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise DataError(
            "it has disappeared since it was listed.",
            where=where,
            fix="start again, and leave the data alone meanwhile.",
        ) from None
    except OSError as error:
        raise DataError(
            f"it cannot be opened: {reason_of(error)}.", where=where, fix="check its permissions."
        ) from None
    with open(handle, "rb", buffering=0) as file:
        found = os.fstat(handle)
        same = (found.st_size, found.st_mtime_ns) == (entry.size, entry.modified) and stat.S_ISREG(found.st_mode)
        content = file.readall() if same else b""
    if not same or len(content) != entry.size:
        raise DataError(
            "it has changed since it was listed.", where=where, fix="start again, and leave the data alone meanwhile."
        )
    return content
