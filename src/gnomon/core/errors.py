"""Every error a user can see: one tree, on one page. Each says what happened, where, and what to do about it."""

from __future__ import annotations

from typing import ClassVar


class GnomonError(Exception):
    """What went wrong, where, and what to do next.

    `what` names the fault and what was expected, `where` the file (and line or id), `fix` one command or one action.
    The command line prints these in at most three lines and exits with `exit_code`.
    """

    code: ClassVar[str] = "bug"
    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, *, fix: str, where: str | None = None) -> None:
        self.what, self.fix = _encodable(what), _encodable(fix)
        self.where = None if where is None else _encodable(where)
        super().__init__(f"{self.where}: {self.what} Fix: {self.fix}" if where else f"{self.what} Fix: {self.fix}")


def _encodable(text: str) -> str:
    """The text with lone surrogates, which a damaged JSON file may hold, as escapes: every page can show it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class UsageError(GnomonError):
    """A command, setting or argument that cannot be used as given."""

    code, exit_code = "usage", 2


class ArgumentError(UsageError, ValueError):
    """An argument that cannot be used, where callers go by Python's own errors, as scikit-learn does."""


class DataError(GnomonError):
    """The user's data cannot be used as it is."""

    code, exit_code = "data", 3


class MachineError(GnomonError):
    """The machine is the problem: disk, memory, permissions, a missing extra."""

    code, exit_code = "machine", 4


class BusyError(GnomonError):
    """The run folder is in use by another process."""

    code, exit_code = "busy", 5


class ArtefactError(GnomonError):
    """A file of a run, or an archive, is damaged or unsafe and is refused."""

    code, exit_code = "artefact", 6


class DivergedError(GnomonError):
    """Training produced a loss that is not a finite number."""

    code, exit_code = "diverged", 7


class StoppedError(GnomonError):
    """A signal asked the run to stop; its state is saved. `exit_code` is 128 + the signal's number."""

    code = "stopped"

    def __init__(self, what: str, *, fix: str, where: str | None = None, signal_number: int) -> None:
        super().__init__(what, fix=fix, where=where)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # known only when the signal arrives


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, or torch with one of its own error types, ran out of memory."""
    message = str(error) if isinstance(error, RuntimeError) else ""
    return isinstance(error, MemoryError) or any(
        words in message for words in ("can't allocate memory", "not enough memory", "out of memory")
    )
