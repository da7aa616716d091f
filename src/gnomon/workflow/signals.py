"""SIGINT and SIGTERM: in training they only set a flag; elsewhere, or the second time, they end the verb at once."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gnomon.core.errors import StoppedError

WATCHED = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal arrived. Not an Exception, so that no handler takes it for one more file that cannot be read."""


class StopFlag:
    """Which signal arrived, if any, and what to do when one arrives."""

    def __init__(self) -> None:
        self.came: int | None = None
        self.patient = False  # True: remember the signal and let the loop reach a safe point
        self.what = "stopped."
        self.fix = "run the command again; nothing was left half done."

    def to_continue(self, run: Path) -> None:
        """From now on, the fit in that folder can be resumed."""
        self.fix = f"continue with: gnomon fit --resume {shlex.quote(str(run))}"

    def asked(self) -> bool:
        return self.came is not None

    def error(self) -> StoppedError:
        return StoppedError(self.what, fix=self.fix, signal_number=self.came or signal.SIGTERM)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a signal that arrives, or has arrived before, raises Stopped."""
        was_patient, self.patient = self.patient, False
        try:
            if self.asked():
                raise Stopped
            yield
        finally:
            self.patient = was_patient

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.came is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.came = number
        if not self.patient:
            raise Stopped


@contextmanager
def watched() -> Iterator[StopFlag]:
    """Handle SIGINT and SIGTERM inside, restore the old handlers afterwards. Raises StoppedError if one ended it.

    A signal that is ignored (a job in the background of a script) stays ignored. Off the main thread: do nothing.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.getsignal(number) for number in WATCHED}
    handled = [number for number in WATCHED if before[number] != signal.SIG_IGN]
    try:
        for number in handled:
            signal.signal(number, flag._handle)
        yield flag
    except Stopped:
        raise flag.error() from None
    finally:
        flag.patient = True  # a signal that arrives while the handlers change has nothing left to stop
        for number in handled:
            signal.signal(number, before[number])
