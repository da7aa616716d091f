"""The command line: it parses, calls a verb, and shows the result. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType

from gnomon.core.errors import MachineError, StoppedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    0 done, 2 usage, 3 data, 4 machine, 5 busy, 6 artefact, 7 diverged, 70 a bug, 128 + n stopped by signal n.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        _open_standard_streams()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # from libraries, about code: nothing a user could act on
        from gnomon.cli.run_command import run_command

        code = run_command(given)
    except KeyboardInterrupt as stop:
        code = _stopped(stop, as_json="--json" in given)
    if arguments is None:
        _leave(code)
    return code


class Terminated(KeyboardInterrupt):
    """SIGTERM, which by itself would end the process without a word, wherever it is: in the imports, say."""


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does, until a verb that has something to save takes both in hand."""
    raise Terminated


def _stopped(stop: KeyboardInterrupt, *, as_json: bool) -> int:
    from gnomon.cli.failures import report

    number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
    report(StoppedError("stopped.", fix="run the command again.", signal_number=number), as_json=as_json)
    return 128 + number


def _open_standard_streams() -> None:
    """Reserve the numbers of streams that were closed before the start (`gnomon fit DATA >&-`)."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _leave(code: int) -> None:
    """Exit with `code`; a reader that went away (`| head`) is not an error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or Python tries again, and exits with 120
            code = 141 if isinstance(error, BrokenPipeError) else code or MachineError.exit_code
    sys.exit(code)
