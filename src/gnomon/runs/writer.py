"""The only writer: every byte gnomon puts on a disk goes through here, and arrives completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, final

from gnomon.core.errors import MachineError
from gnomon.runs.seal import MANIFEST, check_name, encode_json, encode_sealed

Data = bytes | bytearray | memoryview
T = TypeVar("T")

REPLACED = ".replaced"  # suffix of a folder while its replacement moves in
CHUNK = 1 << 30  # bytes per call; macOS refuses more than 2^31 - 1

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILLED_LATER = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_SHARED = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_IT_IS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@final
class Calls:
    """The calls that change a disk, and no others: where tests count, fail and kill."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    truncate = staticmethod(os.ftruncate)
    fsync = staticmethod(os.fsync)
    close = staticmethod(os.close)
    rename = staticmethod(os.replace)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    symlink = staticmethod(os.symlink)
    utime = staticmethod(os.utime)


calls = Calls()


# --- single files -----------------------------------------------------------------------------------------------------
def write_bytes(path: Path, data: Data) -> None:
    """Create or replace `path`; with its folder if missing. On failure the old file stays; raises MachineError."""
    with _as_machine_error(path, _size(data)):
        _make_folder(path.parent)
        _retried_on_io_error(lambda: _replace_file(path, data))


def write_text(path: Path, text: str) -> None:
    """Like `write_bytes`, in UTF-8; what UTF-8 cannot encode (bytes of odd file names) is written as an escape."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Like `write_bytes`, in ASCII JSON (odd file names survive); NaN and infinity as Python writes them."""
    write_bytes(path, encode_json(value))


def append_line(path: Path, line: bytes) -> None:
    """Append `line` (the newline is added here) to `path`, or nothing. Raises MachineError."""
    with _as_machine_error(path, len(line)):
        size = -1
        descriptor = calls.open(path, _APPEND, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            _write_all(descriptor, line + b"\n")
            calls.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                calls.truncate(descriptor, size)
            if error.errno != errno.EIO or size < 0:
                raise
            # After a failed fsync the kernel may call lost pages clean: only a new file can be trusted.
            _replace_file(path, path.read_bytes()[:size] + line + b"\n")
        finally:
            calls.close(descriptor)
        if size == 0:
            _sync_folder(path.parent)


def allocate(path: Path, size: int) -> None:
    """Create the file `path` with `size` bytes, at least 1; their disk space is reserved now, not when written."""
    with _as_machine_error(path, size):
        descriptor = calls.open(path, _FILLED_LATER, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, size)
            else:
                calls.truncate(descriptor, size)
        except BaseException:
            with suppress(OSError):
                calls.unlink(path)
            raise
        finally:
            calls.close(descriptor)


def touch(path: Path) -> None:
    """Set its time to now, if allowed."""
    with suppress(OSError):
        calls.utime(path)


# --- folders ----------------------------------------------------------------------------------------------------------
def commit_folder(final: Path, files: Mapping[str, Data], facts: Mapping[str, Any] | None = None) -> None:
    """Create or replace the folder `final` with `files` and a manifest of their sizes and SHA-256, all or nothing.

    `facts` are plain JSON values kept in the manifest (a step, a sequence number). At every moment either the old or
    the new content can be read back with `reader.read_folder`. Raises MachineError.
    """
    sealed = _with_manifest(files, facts)
    with _as_machine_error(final, sum(map(_size, sealed.values()))):
        _make_folder(final.parent)
        _retried_on_io_error(lambda: _replace_folder(final, sealed))


def commit_new_folder(final: Path, files: Mapping[str, Data], facts: Mapping[str, Any] | None = None) -> bool:
    """Like `commit_folder`, for a folder whose parent exists; False if something with that name already exists."""
    sealed = _with_manifest(files, facts)
    with _as_machine_error(final, sum(map(_size, sealed.values()))):
        return _retried_on_io_error(lambda: _place_folder(final, sealed))


def adopt_folder(place: Path, final: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Turn the folder `place`, whose files are already written, into the committed folder `final` next to it.

    What was called `final` is removed. Raises MachineError.
    """
    with _as_machine_error(final, 0):
        entries = {check_name(path.name): _synced_entry(path) for path in sorted(place.iterdir())}
        _write_new(place / MANIFEST, encode_sealed({"format": 1, **(facts or {}), "files": entries}))
        _sync_folder(place)
    remove(final)
    with _as_machine_error(final, 0):
        calls.rename(place, final)
        _sync_folder(final.parent)


def settle_folder(final: Path) -> None:
    """Finish or undo a replacement that a crash interrupted."""
    replaced = final.with_name(final.name + REPLACED)
    with _as_machine_error(final, 0):
        if not os.path.lexists(replaced):
            return
        if os.path.lexists(final):
            _remove_tree(replaced)
        else:
            calls.rename(replaced, final)
            _sync_folder(final.parent)


def make_folder(path: Path) -> None:
    """Create `path` and missing parents, durably."""
    with _as_machine_error(path, 0):
        _make_folder(path)


def make_private_folder(path: Path) -> None:
    """Like `make_folder`; a new one is private to its owner."""
    with _as_machine_error(path, 0):
        _make_folder(path.parent)
        with suppress(FileExistsError):
            calls.mkdir(path, 0o700)
            _sync_folder(path.parent)


@contextmanager
def filled_folder(final: Path) -> Iterator[Path]:
    """A folder to write many files into, which become the content of `final` (missing or empty) when all are there.

    After a failure nothing is left. After a kill what `is_leftover` names is: beside `final`, or in it if it was there.
    """
    was_there = final.is_dir()
    with _as_machine_error(final, 0):
        _make_folder(final if was_there else final.parent)
        place = _temporary_file(final / "content" if was_there else final)
        calls.mkdir(place)
    try:
        yield place
        with _as_machine_error(final, 0):
            if was_there:
                for child in sorted(place.iterdir()):
                    calls.rename(child, final / child.name)
                calls.rmdir(place)
                _sync_folder(final)
            else:
                calls.rename(place, final)
                _sync_folder(final.parent)
    except BaseException:
        with suppress(OSError):
            _remove_tree(place)
        raise


def sync_folder(path: Path) -> None:
    """Sync the names in `path` to the disk."""
    with _as_machine_error(path, 0):
        _sync_folder(path)


def remove(path: Path) -> None:
    """Remove a file, link or folder; a folder disappears in one step, before its content does. Missing is fine."""
    with _as_machine_error(path, 0):
        if path.is_dir() and not path.is_symlink():
            doomed = _temporary_folder(path)
            _remove_tree(doomed)
            calls.rename(path, doomed)
            _sync_folder(path.parent)  # or a power loss could bring the folder back without its files
            _remove_tree(doomed)
        else:
            _remove_tree(path)


def is_leftover(name: str) -> bool:
    """Whether a name is one that an interrupted write leaves behind."""
    return name.startswith(".tmp-") or (".tmp-" in name and name.rpartition(".tmp-")[2].isdigit())


def point(link: Path, target: str) -> None:
    """Create or move a symbolic link, in one step; if links are impossible, a text file with `target`."""
    with _as_machine_error(link, 0):
        temporary = _temporary_file(link)
        try:
            calls.symlink(target, temporary)
        except OSError:
            write_text(link, target)
            return
        try:
            calls.rename(temporary, link)
        except BaseException:
            with suppress(OSError):
                calls.unlink(temporary)
            raise


# --- lock files -------------------------------------------------------------------------------------------------------
def open_shared(path: Path) -> int:
    """A descriptor on a file that several processes keep open at once, created if missing: a lock file."""
    with _as_machine_error(path, 0):
        return calls.open(path, _SHARED, 0o666)


def overwrite(descriptor: int, data: bytes) -> None:
    """Replace the content of an open lock file in place. Raises OSError: such content is informative, not a record."""
    calls.truncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    _write_all(descriptor, data)


# --- how --------------------------------------------------------------------------------------------------------------
def file_entry(data: Data) -> dict[str, Any]:
    """The entry of one file in a manifest."""
    return {"size": _size(data), "sha256": hashlib.sha256(data).hexdigest()}


def _size(data: Data) -> int:
    return data.nbytes if isinstance(data, memoryview) else len(data)


def _temporary_file(path: Path) -> Path:
    # Not built from the name of `path`, which may already have the maximum length.
    return path.parent / f".tmp-{os.getpid()}-{secrets.token_hex(4)}"


def _temporary_folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp-{os.getpid()}")


def _replace_file(path: Path, data: Data) -> None:
    temporary = _temporary_file(path)
    try:
        _write_new(temporary, data)
        calls.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            calls.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _replace_folder(final: Path, files: Mapping[str, Data]) -> None:
    temporary, replaced = _temporary_folder(final), final.with_name(final.name + REPLACED)
    _remove_tree(temporary)
    try:
        _fill_folder(temporary, files)
        if os.path.lexists(final):
            _remove_tree(replaced)
            calls.rename(final, replaced)
        try:
            calls.rename(temporary, final)
        except OSError:
            with suppress(OSError):
                calls.rename(replaced, final)
            raise
    except BaseException:
        with suppress(OSError):
            _remove_tree(temporary)
        raise
    _sync_folder(final.parent)
    _remove_tree(replaced)


def _place_folder(final: Path, files: Mapping[str, Data]) -> bool:
    if os.path.lexists(final):
        return False
    temporary = _temporary_file(final)  # not only by process ID: two containers may have the same
    try:
        _fill_folder(temporary, files)
        calls.rename(temporary, final)
    except BaseException as error:
        with suppress(OSError):
            _remove_tree(temporary)
        if isinstance(error, OSError) and os.path.lexists(final):  # another process was faster
            return False
        raise
    _sync_folder(final.parent)
    return True


def _with_manifest(files: Mapping[str, Data], facts: Mapping[str, Any] | None) -> dict[str, Data]:
    entries = {check_name(name): file_entry(data) for name, data in files.items()}
    return {**files, MANIFEST: encode_sealed({"format": 1, **(facts or {}), "files": entries})}


def _fill_folder(folder: Path, files: Mapping[str, Data]) -> None:
    calls.mkdir(folder)
    for name, data in files.items():
        _write_new(folder / name, data)
    _sync_folder(folder)


def _write_new(path: Path, data: Data) -> None:
    """Create `path`, fill it and sync it to the disk."""
    descriptor = calls.open(path, _NEW, 0o666)
    try:
        _write_all(descriptor, data)
        calls.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            calls.close(descriptor)
        raise
    calls.close(descriptor)  # some file systems (NFS, quotas) report a failed write only here


def _synced_entry(path: Path) -> dict[str, Any]:
    """Sync an already written file to the disk; its entry in a manifest."""
    descriptor = calls.open(path, _AS_IT_IS)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        calls.fsync(descriptor)
        return {"size": os.fstat(descriptor).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _write_all(descriptor: int, data: Data) -> None:
    view = memoryview(data).cast("B")
    while len(view):
        view = view[calls.write(descriptor, view[:CHUNK]) :]


def _make_folder(path: Path) -> None:
    if path.is_dir():
        return
    _make_folder(path.parent)
    with suppress(FileExistsError):
        calls.mkdir(path)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder", str(path))
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = calls.open(path, _FOLDER)
    try:
        calls.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync a folder
            raise
    finally:
        calls.close(descriptor)


def _remove_tree(path: Path) -> None:
    """Remove a file, link or folder with everything in it, never following a link. Missing is fine."""
    if path.is_dir() and not path.is_symlink():
        for child in sorted(path.iterdir()):
            _remove_tree(child)
        calls.rmdir(path)
    elif os.path.lexists(path):
        calls.unlink(path)


def _retried_on_io_error(write: Callable[[], T]) -> T:
    """Repeat it with new files after an I/O error: a second fsync of the old ones would falsely report success."""
    try:
        return write()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return write()


# --- errors -----------------------------------------------------------------------------------------------------------
_FIXES = {
    errno.ENOSPC: "free some space on that disk, or choose another with runs_folder=FOLDER.",
    errno.EDQUOT: "free some of your disk quota, or choose another disk with runs_folder=FOLDER.",
    errno.EFBIG: "raise the file size limit (`ulimit -f unlimited`), or choose another disk with runs_folder=FOLDER.",
    errno.EACCES: "get permission to write there, or choose another folder (for runs: runs_folder=FOLDER).",
    errno.EPERM: "get permission to write there, or choose another folder (for runs: runs_folder=FOLDER).",
    errno.EROFS: "mount that disk writable, or choose another with runs_folder=FOLDER.",
    errno.EIO: "the disk reports errors: check it, or choose another with runs_folder=FOLDER.",
    errno.EMFILE: "raise the limit of open files: `ulimit -n 4096`.",
    errno.ENAMETOOLONG: "choose a shorter path with runs_folder=FOLDER or run_name=NAME.",
}
_OTHER_FIX = "check what is at that path, or choose another (for runs: runs_folder=FOLDER)."


@contextmanager
def _as_machine_error(path: Path, needed: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        has_place = error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)  # else its free space is irrelevant
        room = f"; {needed:,} bytes needed, {free_bytes(path):,} free" if needed and has_place else ""
        fix = _FIXES.get(error.errno or 0, _OTHER_FIX)
        raise MachineError(f"cannot be written: {reason}{room}.", where=str(path), fix=fix) from error


def free_bytes(path: Path) -> int:
    """Bytes that can still be written on the disk where `path` is or would be."""
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return 0
