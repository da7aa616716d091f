"""From an exception to at most three lines and an exit code; a traceback only with --debug."""

from __future__ import annotations

import difflib
import errno
import json
import signal
import sys
import traceback
from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib.metadata import version

from gnomon.cli.words import FLAGS, parse
from gnomon.core.errors import DataError, GnomonError, MachineError, StoppedError, UsageError, is_out_of_memory

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
WIDTH = 400  # characters a line of an error may have


def run_command(arguments: Sequence[str]) -> int:
    """Carry out one command line and report its failure, if any, in the form everything else is written in."""
    from gnomon.cli.commands import COMMANDS, help_text

    kept = [argument for argument in arguments if argument not in FLAGS]
    as_json, debug = "--json" in arguments, "--debug" in arguments
    name = kept[0] if kept else None
    try:
        if "--version" in arguments:
            sys.stdout.write(f"gnomon {version('gnomon')}\n")
            return 0
        wants_help = bool({"--help", "-h"} & set(arguments)) or name == "help"
        if name == "help":
            name = kept[1] if len(kept) > 1 else None
        if name is None and (wants_help or not arguments):
            sys.stdout.write(help_text())
            return 0 if wants_help else UsageError.exit_code
        if name is None:
            raise UsageError("there is no command.", fix="gnomon --help lists the commands.")
        if name not in COMMANDS:
            raise _no_such_command(name, COMMANDS)
        if wants_help:
            sys.stdout.write(help_text(name))
            return 0
        words, values = parse(kept[1:])
        return COMMANDS[name](words, values, as_json)
    except KeyboardInterrupt:
        report(StoppedError("stopped.", fix="run the command again.", signal_number=signal.SIGINT), as_json=as_json)
        return 128 + signal.SIGINT
    except (BrokenPipeError, SystemExit):  # rich leaves by SystemExit when whoever reads stdout has gone away
        return 141
    except Exception as error:  # noqa: BLE001  the one place where every failure becomes a message
        if debug:
            traceback.print_exc()
        failure = as_gnomon_error(error)
        report(failure, as_json=as_json)
        return failure.exit_code


def _no_such_command(name: str, known: Collection[str]) -> UsageError:
    near = difflib.get_close_matches(name.lower(), known, n=1)
    nearest = f"did you mean gnomon {near[0]}?" if near else f"the commands are {', '.join(known)}."
    return UsageError(f"there is no command {name!r}.", fix=nearest)


def as_gnomon_error(error: Exception) -> GnomonError:
    """The error as one of ours: what click, the system or Python said, in our words."""
    if isinstance(error, GnomonError):
        return error
    if is_out_of_memory(error):
        return MachineError(
            "there is not enough memory.", fix="use less data, smaller pictures or a smaller batch_size."
        )
    if isinstance(error, UnicodeDecodeError):
        return DataError(
            f"not text in the expected encoding: {error.reason}.", fix="convert it, or say data.encoding=..."
        )
    if isinstance(error, OSError):
        where = str(error.filename) if error.filename else None
        if error.errno in NO_SPACE:
            return MachineError("the disk is full.", where=where, fix="free some space and resume the run.")
        return MachineError(f"{error.strerror or error}.", where=where, fix="check the path and its rights.")
    return _bug(error)


def _bug(error: Exception) -> GnomonError:
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return GnomonError(f"this is a bug in gnomon: {text}", fix="run again with --debug and report what it prints.")


def report(failure: GnomonError, *, as_json: bool) -> None:
    """Two lines on stderr, or one JSON object on stdout."""
    with suppress(OSError):  # nobody listens: the exit code still tells
        if as_json:
            about = {"code": failure.code, "what": failure.what, "where": failure.where, "fix": failure.fix}
            sys.stdout.write(json.dumps({"error": about, "exit_code": failure.exit_code}, ensure_ascii=False) + "\n")
            return
        place = f"{printable(failure.where)}: " if failure.where else ""
        sys.stderr.write(f"gnomon: error[{failure.code}]: {place}{printable(failure.what)}\n")
        sys.stderr.write(f"fix: {printable(failure.fix)}\n")


def printable(text: str) -> str:
    """One line, with control characters (escape sequences, bidi overrides) shown as escapes, not obeyed."""
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
    return shown if len(shown) <= WIDTH else f"{shown[:WIDTH]} ..."
