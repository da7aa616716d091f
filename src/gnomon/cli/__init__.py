"""The command line: it parses, calls a verb, and shows the result. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from gnomon.core.errors import MachineError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    0 done, 2 usage, 3 data, 4 machine, 5 busy, 6 artefact, 7 diverged, 70 a bug, 128 + n stopped by signal n.
    """
    from gnomon.cli.run_command import run_command

    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # from libraries, about code: nothing a user could act on
    code = run_command(list(sys.argv[1:] if arguments is None else arguments))
    if arguments is None:
        _leave(code)
    return code


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
