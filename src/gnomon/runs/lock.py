"""One process at a time on a run: a kernel lock, gone the moment its process is, with a note of who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from gnomon.core.errors import BusyError, GnomonError, MachineError
from gnomon.runs import reader, writer
from gnomon.runs.seal import decode_json

PATIENCE = 0.5  # seconds to wait for the holder's note, which is written just after the lock is taken

_held: set[RunLock] = set()


@final
class RunLock:
    """`with RunLock(path):` raises BusyError at once if another process, or another lock of this one, holds it.

    The kernel holds the lock, not the file's existence: it ends with the process, however that ends. Children that
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
            fix = "choose a disk that has locks with runs_folder=FOLDER."
            raise MachineError(what, where=str(self.path), fix=fix) from error
        self._descriptor = descriptor
        _held.add(self)
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        }
        with suppress(OSError):  # a full disk costs the others the name of the holder, nothing more
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
        who = "another process"
        if note:
            who = f"process {note.get('pid')} on {note.get('host')} since {note.get('started')}"
        return BusyError(f"is in use by {who}.", where=str(self.path.parent), fix="wait until it ends, or stop it.")

    def _note(self) -> dict[str, Any] | None:
        """What the holder wrote; None while it is not there yet or still that of a process that is gone."""
        try:
            note = decode_json(reader.read_file(self.path.parent, self.path.name, limit=4096), str(self.path))
            if note["host"] == socket.gethostname() and not _is_alive(int(note["pid"])):
                return None
        except (GnomonError, KeyError, ValueError, TypeError):
            return None
        return note


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
