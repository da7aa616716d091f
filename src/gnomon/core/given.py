"""A file that a user names on the command line: read whole, once it is sure that it is one and of a sane size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gnomon.core.errors import GnomonError, UsageError

LIMIT = 256 << 20  # bytes: a sheet of a million rows has 100 MB


def read_given(path: Path, *, missing: GnomonError, limit: int = LIMIT) -> bytes:
    """The content of a regular file, be it reached through a link. Raises `missing` where there is none.

    Raises UsageError for a folder, a device, a pipe or a socket, none of which is waited for, and for more than `limit`
    bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe must not hang
    except (FileNotFoundError, NotADirectoryError):
        raise missing from None
    except OSError as error:
        raise _refused(path, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise _refused(path, "is not a file")
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > limit:
            raise _refused(path, f"has {found.st_size:,} bytes, more than the {limit:,} expected")
        return file.read(limit)


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(f"{why}.", where=str(path), fix="give the path of a file that gnomon wrote.")
