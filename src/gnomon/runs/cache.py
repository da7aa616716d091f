"""The user's cache: large files that take long to create, each folder named by a hash of what they are made from.

~/.cache/gnomon/              0700; or $XDG_CACHE_HOME/gnomon, or $GNOMON_CACHE ("off": none)
  KEY/                        a committed folder: manifest.json with size and SHA-256 of every file
  KEY.tmp/                    being created; locked by the process that does it

All of it may be deleted at any time: what is in use stays readable until its process ends.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gnomon.core.errors import ArtefactError, MachineError
from gnomon.runs import reader, writer
from gnomon.runs.seal import MANIFEST

SHARE = 0.25  # of the disk's free space plus the cache's own size: the limit of the cache
SECONDS_BETWEEN_TRIES = 0.1  # at the lock of an entry that another process is creating

_NAME = re.compile(r"([0-9a-f]{64})(\.tmp)?")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Entry:
    """Files that were found and verified, mapped read-only, with the metadata stored with them."""

    files: Mapping[str, mmap.mmap]
    facts: Mapping[str, Any]


def own_cache() -> Cache | None:
    """The cache of this user, created if missing; None if it is switched off or cannot be written."""
    given = os.environ.get("GNOMON_CACHE", "")
    if given == "off":
        return None
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        path = Path(given or (f"{base}/gnomon" if os.path.isabs(base) else "~/.cache/gnomon")).expanduser()  # noqa: PTH117
        path = path.absolute()
        writer.make_private_folder(path)
        found = path.lstat()
    except (MachineError, OSError, RuntimeError):  # no rights, no room, no home
        return None
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    return Cache(path) if is_own else None


@final
class Cache:
    """Entries by key: 64 hex digits that stand for everything they depend on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, key: str) -> Entry | None:
        """The entry of this key; None if there is no complete and undamaged one."""
        try:
            facts = reader.read_manifest(self.path, f"{key}/{MANIFEST}")
            entries = facts.pop("files")
            files = {name: reader.mapped(self.path, f"{key}/{name}", entry) for name, entry in entries.items()}
        except (ArtefactError, MachineError):
            return None
        writer.touch(self.path / key)
        return Entry(files, facts)

    @contextmanager
    def making(self, key: str, size: int) -> Iterator[Path | None]:
        """An empty folder for the files of `key`, about `size` bytes, to be passed to `keep`; otherwise it is removed.

        Waits while another process creates the same, so look again with `find`. None if they cannot be kept.
        """
        place = self.path / f"{key}.tmp"
        try:
            held = _hold(place) if self._has_room(size) else None
        except (OSError, MachineError):
            held = None
        if held is None:
            yield None
            return
        try:
            for leftover in place.iterdir():  # of a process that was killed
                _remove(leftover)
            yield place
        finally:
            if _is_at(held, place):
                _remove(place)
            os.close(held)

    def keep(self, key: str, place: Path, facts: Mapping[str, Any]) -> None:
        """Commit the folder of `making`. Raises MachineError."""
        writer.adopt_folder(place, self.path / key, facts)

    def _has_room(self, size: int) -> bool:
        """Make room for `size` bytes: remove unfinished leftovers, then the entries used longest ago."""
        entries = []
        for path in self.path.iterdir():
            match = _NAME.fullmatch(path.name)
            if match and match[2]:
                _remove_abandoned(path)
            elif writer.is_leftover(path.name):
                _remove(path)
            elif match:
                with suppress(OSError):  # gone meanwhile
                    entries.append((path.lstat().st_mtime_ns, path, _bytes_in(path)))
        held = sum(entry[2] for entry in entries)
        most = SHARE * (writer.free_bytes(self.path) + held)
        if size > most:
            return False
        for _, path, its_bytes in sorted(entries):
            if held + size <= most:
                break
            _remove(path)
            held -= its_bytes
        return True


def _hold(place: Path) -> int:
    """A descriptor on the folder `place`, created if missing, that holds its lock. Waits for it."""
    while True:
        writer.make_private_folder(place)
        with suppress(FileNotFoundError):  # finished or given up by another process in between
            descriptor = os.open(place, _OPEN)
            try:
                while not _is_locked(descriptor):
                    time.sleep(SECONDS_BETWEEN_TRIES)
                if _is_at(descriptor, place):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Whether this process has the lock now: no other process does."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, place: Path) -> bool:
    """Whether the open folder still has this name: it loses it when it is finished or abandoned."""
    try:
        return os.path.samestat(os.fstat(descriptor), place.lstat())
    except FileNotFoundError:
        return False


def _remove_abandoned(place: Path) -> None:
    """Remove what a dead process was creating."""
    with suppress(OSError):
        descriptor = os.open(place, _OPEN)
        try:
            if _is_locked(descriptor) and _is_at(descriptor, place):
                _remove(place)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    """Another process may be removing it at the same moment."""
    with suppress(MachineError, OSError):
        writer.remove(path)


def _bytes_in(folder: Path) -> int:
    return sum(child.lstat().st_size for child in folder.iterdir())
