"""The progress of a slow verb: lines that stay and, on a terminal, a live one below them."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

SECONDS_BETWEEN_ROWS = 5.0  # off a terminal, if there is more than one row per percent


class Screen:
    """`with Screen(quiet=...) as screen:`; a quiet one (stdout is for JSON) shows nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.console = Console(file=sys.stderr if quiet else sys.stdout, highlight=False, soft_wrap=True)
        self.live: Live | None = None
        self.held_back: str | None = None  # the newest row, if it was skipped
        self.percent, self.next_row = -1, 0.0

    def __enter__(self) -> Self:
        if self.is_moving:
            self.live = Live("", console=self.console, transient=True, auto_refresh=False)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show_held_back()
        if self.live is not None:
            self.live.stop()

    @property
    def is_moving(self) -> bool:
        """Whether there is a live line."""
        return self.console.is_terminal and not self.quiet

    def line(self, text: str = "", *, style: str = "") -> None:
        """A line that stays."""
        self._show_held_back()
        if not self.quiet:
            self.console.print(text, markup=False, style=style)

    def row(self, text: str, done: float) -> None:
        """One of many lines, with `done` (0 to 1) of the work behind it.

        A file or a pipe gets the first, one per percent or every few seconds, and the last before any other line.
        """
        percent, now = int(100 * done + 1e-9), time.monotonic()
        self.held_back = text
        if self.is_moving or percent > self.percent or now >= self.next_row:
            self.percent, self.next_row = percent, now + SECONDS_BETWEEN_ROWS
            self._show_held_back()

    def moving(self, text: str) -> None:
        """Set the text of the live line, if there is one."""
        if self.live is not None:
            self.live.update(Text(text), refresh=True)

    def _show_held_back(self) -> None:
        text, self.held_back = self.held_back, None
        if text is not None and not self.quiet:
            self.console.print(text, markup=False)
