"""The progress of a slow verb: lines that stay and, on a terminal, a live one below them."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

ROWS = 8  # of many that stay, however long it takes: a screenful, not a scroll


class Screen:
    """`with Screen(quiet=...) as screen:`; a quiet one (stdout is for JSON) shows nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.console = Console(file=sys.stderr if quiet else sys.stdout, highlight=False, soft_wrap=True)
        self.live: Live | None = None
        self.held_back: str | None = None  # the newest row, if it does not stay
        self.part = -1  # of ROWS, that was shown last

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

        The first stays, one per part of ROWS, and the newest before any other line; a live line shows every one.
        """
        part = int(ROWS * done + 1e-9)
        self.held_back = text
        if part > self.part:
            self.part = part
            self._show_held_back()
        else:
            self.moving(text)

    def forget_row(self) -> None:
        """The newest row is not shown, if it does not stay."""
        self.held_back = None

    def moving(self, text: str) -> None:
        """Set the text of the live line, if there is one."""
        if self.live is not None:
            self.live.update(Text(text), refresh=True)

    def _show_held_back(self) -> None:
        text, self.held_back = self.held_back, None
        if text is not None and not self.quiet:
            self.console.print(text, markup=False)
