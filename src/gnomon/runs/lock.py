"""One process at a time per run: a kernel lock that ends with its process, with a note of who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, final

from gnomon.core.errors import BusyError, GnomonError, MachineError
from gnomon.runs import reader, writer
from gnomon.runs.seal import decode_json

PATIENCE = 0.5  # seconds to wait for the holder's note, which is written just after the lock is taken
LAST_PID = 2**31 - 1  # the largest process ID of the system
NOTE_LIMIT = 4096  # bytes

_held: set[RunLock] = set()


@dataclass(frozen=True, slots=True)
class Note:
    """Who holds a lock."""

    pid: int
    host: str
    started: str  # UTC


@final
class RunLock:
    """`with RunLock(path):` raises BusyError at once if another process, or another lock of this one, holds it.

    The kernel holds the lock, not the file's existence: it ends with the process, however it ends. Children that
    are forked while it is held do not keep it alive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        descriptor = writer.open_shared(self.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise self._busy() from None
        except OSError as error:
            os.close(descriptor)
            what = f"cannot be locked: {(error.strerror or str(error)).lower()}."
            fix = "choose a disk with file locks: runs_folder=FOLDER."
            raise MachineError(what, where=str(self.path), fix=fix) from error
        self._descriptor = descriptor
        _held.add(self)
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        }
        with suppress(OSError):  # with a full disk others do not learn who holds it, nothing more
            writer.overwrite(descriptor, json.dumps(note).encode() + b"\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                writer.overwrite(self._descriptor, b"")
            self.forget()

    def forget(self) -> None:
        """Close the lock's file without touching its content."""
        _held.discard(self)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _busy(self) -> BusyError:
        deadline = time.monotonic() + PATIENCE
        note = self._note()
        while note is None and time.monotonic() < deadline:
            time.sleep(0.01)
            note = self._note()
        who = f"process {note.pid} on {note.host} since {note.started}" if note else "another process"
        return BusyError(f"is in use by {who}.", where=str(self.path.parent), fix="wait until it ends, or stop it.")

    def _note(self) -> Note | None:
        """What the holder wrote; None while there is none yet, or only that of a dead process."""
        note = note_of(self.path)
        return None if note is not None and note.host == socket.gethostname() and not _is_alive(note.pid) else note


def note_of(path: Path) -> Note | None:
    """What the holder of the lock at `path` wrote; None if there is none, or no valid one."""
    try:
        plain = decode_json(reader.read_file(path.parent, path.name, limit=NOTE_LIMIT), str(path))
    except GnomonError:
        return None
    pid, host, started = (plain.get(key) for key in ("pid", "host", "started"))
    if type(pid) is not int or not 0 < pid <= LAST_PID or not isinstance(host, str) or not isinstance(started, str):
        return None
    return Note(pid, host, started)


def is_held_here(path: Path) -> bool:
    """Whether the note in the lock names a living process of this machine. The lock itself is not touched."""
    note = note_of(path)
    return note is not None and note.host == socket.gethostname() and _is_alive(note.pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)
