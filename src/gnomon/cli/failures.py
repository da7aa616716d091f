"""From an exception to two lines, or one JSON object, and an exit code."""

from __future__ import annotations

import errno
import json
import sys
from contextlib import suppress

from gnomon.cli.text import printable
from gnomon.core.errors import DataError, GnomonError, MachineError, is_out_of_memory

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def as_gnomon_error(error: Exception) -> GnomonError:
    """The error as one of ours: what the system, a library or Python said, in our words."""
    if isinstance(error, GnomonError):
        return error
    if is_out_of_memory(error):
        return MachineError(
            "there is not enough memory.", fix="use less data, smaller pictures or a smaller batch_size."
        )
    if isinstance(error, UnicodeDecodeError):
        return DataError(
            f"not text in the expected encoding: {error.reason}.", fix="convert it, or set data.encoding=..."
        )
    if isinstance(error, OSError):
        where = str(error.filename) if error.filename else None
        if error.errno in NO_SPACE:
            return MachineError("the disk is full.", where=where, fix="free some space and resume the run.")
        return MachineError(f"{error.strerror or error}.", where=where, fix="check the path and its permissions.")
    return _bug(error)


def _bug(error: Exception) -> GnomonError:
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return GnomonError(f"this is a bug in gnomon: {text}", fix="run again with --debug and report what it prints.")


def report(failure: GnomonError, *, as_json: bool) -> None:
    """Two lines on stderr, or one JSON object on stdout."""
    with suppress(OSError):  # stdout is closed: the exit code still reports it
        if as_json:
            about = {"code": failure.code, "what": failure.what, "where": failure.where, "fix": failure.fix}
            sys.stdout.write(json.dumps({"error": about, "exit_code": failure.exit_code}, ensure_ascii=False) + "\n")
            return
        place = f"{printable(failure.where)}: " if failure.where else ""
        sys.stderr.write(f"gnomon: error[{failure.code}]: {place}{printable(failure.what)}\n")
        sys.stderr.write(f"fix: {printable(failure.fix)}\n")
