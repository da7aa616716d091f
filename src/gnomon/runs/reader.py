"""Reading a run: nothing outside its folder, no links, nothing larger than expected, everything checked."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

from gnomon.core.errors import ArtefactError, MachineError
from gnomon.runs.seal import MANIFEST, MANIFEST_LIMIT, RESTORE, check_name, decode_sealed

T = TypeVar("T")

FORMAT = 1  # of manifests; a higher one was written by a later gnomon

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # NONBLOCK: opening a FIFO must not hang


@dataclass(frozen=True, slots=True)
class Folder:
    """A committed folder, read and verified."""

    facts: Mapping[str, Any]  # what the manifest says besides its files
    files: Mapping[str, bytes]


def read_file(root: Path, name: str, *, limit: int | None = None) -> bytes:
    """The content of `root`/`name` (parts separated by "/").

    Raises ArtefactError for a missing file, a link of either kind (also a linked folder on the way), a special file,
    more than `limit` bytes, or anything outside `root`; MachineError without permission to read.
    """
    path = contained(root, name)
    try:
        return _read_regular(path, limit)
    except FileNotFoundError:
        raise ArtefactError("is missing.", where=str(path), fix=RESTORE) from None
    except PermissionError as error:
        raise MachineError(
            "cannot be read: permission denied.", where=str(path), fix="get permission to read that file."
        ) from error
    except OSError as error:
        if error.errno == errno.EMFILE:
            raise MachineError(
                "cannot be read: too many open files.",
                where=str(path),
                fix="raise the limit of open files: `ulimit -n 4096`.",
            ) from error
        raise ArtefactError(f"cannot be read: {error.strerror or error}.", where=str(path), fix=RESTORE) from None


_NO_LINKS = "copy the run with its files (cp -rL RUN NEW) and use the copy."


def contained(root: Path, name: str) -> Path:
    """`root`/`name`, which need not exist. Raises ArtefactError if the path leaves `root` or contains a link."""
    path = root / name
    try:
        real_root, real = os.path.realpath(root), os.path.realpath(path)
    except ValueError:  # a NUL in the name
        raise ArtefactError("is not the name of a file.", where=repr(name), fix=RESTORE) from None
    if os.path.commonpath([real_root, real]) != real_root or real != str(Path(real_root, name)):
        raise ArtefactError("is reached through a link or is outside its run.", where=str(path), fix=_NO_LINKS)
    return path


def _read_regular(path: Path, limit: int | None) -> bytes:
    with _open_regular(path, limit) as file:
        return file.read(os.fstat(file.fileno()).st_size)


@contextmanager
def _open_regular(path: Path, limit: int | None) -> Iterator[BufferedReader]:
    before = path.lstat()
    if stat.S_ISLNK(before.st_mode):
        raise ArtefactError("is a symbolic link; files of a run must be files.", where=str(path), fix=_NO_LINKS)
    if not stat.S_ISREG(before.st_mode):
        raise ArtefactError("is not a regular file.", where=str(path), fix=RESTORE)
    descriptor = os.open(path, _READ)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (before.st_dev, before.st_ino):
            raise ArtefactError("was replaced while it was being opened.", where=str(path), fix=_NO_LINKS)
        if found.st_nlink > 1:
            raise ArtefactError("is a hard link: it has more than one name.", where=str(path), fix=_NO_LINKS)
        if limit is not None and found.st_size > limit:
            raise ArtefactError(
                f"has {found.st_size:,} bytes, more than the {limit:,} expected.", where=str(path), fix=RESTORE
            )
        yield file


def read_manifest(root: Path, name: str = MANIFEST) -> dict[str, Any]:
    """The manifest at `root`/`name`. Raises ArtefactError if it is damaged or of a later format."""
    where = str(root / name)
    manifest = decode_sealed(read_file(root, name, limit=MANIFEST_LIMIT), where)
    version = manifest.get("format")
    if version != FORMAT:
        raise ArtefactError(
            f"has format {version!r}; this gnomon reads format {FORMAT}.",
            where=where,
            fix="use the gnomon that wrote it, or a later one.",
        )
    entries = manifest.get("files")
    if not isinstance(entries, dict) or not all(map(_is_entry, entries.values())):
        raise ArtefactError("does not list its files as name, size and SHA-256.", where=where, fix=RESTORE)
    return manifest


def _is_entry(entry: Any) -> bool:
    """Whether `entry` is a file's size and SHA-256, perhaps with those of the previous content, "before"."""
    if not isinstance(entry, dict):
        return False
    size, digest = entry.get("size"), entry.get("sha256")
    if type(size) is not int or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        return False
    return "before" not in entry or _is_entry(entry["before"])


def verified(root: Path, name: str, entry: Mapping[str, Any], *, limit: int | None = None) -> bytes:
    """The content of `root`/`name` if it matches `entry`, or the previous content listed there.

    Raises ArtefactError naming the file.
    """
    allowed = [entry, *([entry["before"]] if "before" in entry else [])]
    largest = max(each["size"] for each in allowed)
    data = read_file(root, name, limit=largest if limit is None else min(largest, limit))
    digest = hashlib.sha256(data).hexdigest()
    if not any(each["size"] == len(data) and each["sha256"] == digest for each in allowed):
        raise ArtefactError(
            "is damaged: its content is not what was saved (SHA-256 differs).", where=str(root / name), fix=RESTORE
        )
    return data


def mapped(root: Path, name: str, entry: Mapping[str, Any]) -> mmap.mmap:
    """Like `verified`, for a file too large for memory, of at least one byte: mapped into memory, read-only."""
    path = contained(root, name)
    try:
        with _open_regular(path, entry["size"]) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"]:
                return mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
    except (OSError, ValueError) as error:
        raise ArtefactError(f"cannot be read: {error}.", where=str(path), fix=RESTORE) from None
    raise ArtefactError("is damaged: SHA-256 differs.", where=str(path), fix=RESTORE)


def read_folder(root: Path, name: str) -> Folder:
    """The committed folder `root`/`name`. Raises ArtefactError naming the first file that is not as saved."""
    manifest = read_manifest(root, f"{name}/{MANIFEST}")
    entries = manifest.pop("files")
    files = {file: verified(root, f"{name}/{check_name(file)}", entry) for file, entry in entries.items()}
    return Folder(manifest, files)


def faults(root: Path, name: str) -> Iterator[tuple[str, ArtefactError | None]]:
    """Every file of the committed folder `root`/`name` with what is wrong with it, None if it is good."""
    manifest, damage = attempt(lambda: read_manifest(root, f"{name}/{MANIFEST}"))
    yield f"{name}/{MANIFEST}", damage
    for file, entry in (manifest["files"] if manifest else {}).items():
        yield f"{name}/{file}", fault(root, f"{name}/{file}", entry)


def fault(root: Path, name: str, entry: Mapping[str, Any]) -> ArtefactError | None:
    """Why `root`/`name` does not match `entry`, None if it does."""
    return attempt(lambda: verified(root, name, entry))[1]


def attempt(read: Callable[[], T]) -> tuple[T, None] | tuple[None, ArtefactError]:
    """What `read` returns, or the error it raises."""
    try:
        return read(), None
    except ArtefactError as error:
        return None, error
