"""SIGINT and SIGTERM: while training they only set a flag; elsewhere, or the second time, they end the verb at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gnomon.core.errors import StoppedError

WATCHED = (signal.SIGINT, signal.SIGTERM)


class StopFlag:
    """Which signal came, if any, and what to do when one comes."""

    def __init__(self) -> None:
        self.came: int | None = None
        self.patient = False  # True: remember the signal and let the loop come to a good place
        self.fix = "run the command again; nothing was left half done."

    def asked(self) -> bool:
        return self.came is not None

    def error(self, what: str) -> StoppedError:
        return StoppedError(what, fix=self.fix, signal_number=self.came or signal.SIGTERM)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.came is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.came = number
        if not self.patient:
            raise self.error("stopped.")


@contextmanager
def watched() -> Iterator[StopFlag]:
    """Handle SIGINT and SIGTERM inside; the handlers of before afterwards. Off the main thread: handle nothing."""
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, flag._handle) for number in WATCHED}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
