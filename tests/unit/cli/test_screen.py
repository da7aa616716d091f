"""Lines that stay: all of them on a terminal, few of many in a file, and always the last."""

from __future__ import annotations

import io

import pytest

from gnomon.cli import screen as screens
from gnomon.cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch, file, rows, **options):
    """What stands on `file` after `rows` of many were told and a line behind them."""
    monkeypatch.setattr("sys.stdout", file)
    monkeypatch.setenv("TERM", "dumb" if not file.isatty() else "xterm")
    with Screen(quiet=options.get("quiet", False)) as screen:
        for row in range(1, rows + 1):
            screen.row(f"row {row}.", row / options.get("of", rows))
        if "line" in options:
            screen.line(options["line"])
    return [line.strip() for line in file.getvalue().splitlines() if "." in line]


def test_of_many_rows_a_file_gets_the_first_one_a_percent_and_the_last(monkeypatch):
    lines = shown(monkeypatch, io.StringIO(), 1000)
    assert lines[0] == "row 1."
    assert lines[1:] == [f"row {10 * percent}." for percent in range(1, 101)]


def test_of_a_hundred_rows_every_one_is_shown(monkeypatch):
    assert len(shown(monkeypatch, io.StringIO(), 100)) == 100


def test_rows_that_come_slowly_are_all_shown(monkeypatch):
    monkeypatch.setattr(screens, "SECONDS_BETWEEN_ROWS", 0.0)
    assert len(shown(monkeypatch, io.StringIO(), 400)) == 400


@pytest.mark.parametrize("options", [{}, {"line": "the end."}])
def test_the_row_at_which_it_ended_early_is_shown_before_what_follows(monkeypatch, options):
    lines = shown(monkeypatch, io.StringIO(), 1013, of=100_000, **options)
    assert lines == ["row 1.", "row 1000.", "row 1013.", *options.values()]


def test_a_terminal_gets_every_row(monkeypatch):
    assert sum("row" in line for line in shown(monkeypatch, Terminal(), 1000)) == 1000


def test_a_quiet_screen_shows_nothing(monkeypatch):
    errors = io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    assert shown(monkeypatch, io.StringIO(), 1000, quiet=True, line="an end.") == []
    assert errors.getvalue() == ""
