"""One command line from its words to its exit code; a traceback only with --debug."""

from __future__ import annotations

import difflib
import sys
import traceback
from collections.abc import Collection, Sequence
from importlib.metadata import version

from gnomon.cli.commands import COMMANDS, help_text
from gnomon.cli.failures import as_gnomon_error, report
from gnomon.cli.words import FLAGS, parse
from gnomon.core.errors import UsageError

PYTHON_ONLY = {"source", "follower", "preset", "tell"}  # parameters of verbs that are not settings


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and report its failure, if any, in the same form as everything else."""
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
            raise UsageError("no command given.", fix="gnomon --help lists the commands.")
        if name not in COMMANDS:
            raise _no_such_command(name, COMMANDS)
        if wants_help:
            sys.stdout.write(help_text(name))
            return 0
        words, values = parse(kept[1:])
        if values.keys() & PYTHON_ONLY:
            from gnomon.core.settings import full_key  # takes a fifth of a second, which `gnomon --help` need not wait

            full_key(next(iter(values.keys() & PYTHON_ONLY)))
        return COMMANDS[name](words, values, as_json)
    except (BrokenPipeError, SystemExit):  # rich exits with SystemExit if the reader of stdout has gone away
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
    return UsageError(f"unknown command {name!r}.", fix=nearest)
