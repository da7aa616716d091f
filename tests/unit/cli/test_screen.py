"""Lines that stay: few of many, and always the last; a terminal shows the others in a line that moves."""

from __future__ import annotations

import io

import pytest

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


def test_of_many_rows_a_file_gets_the_first_one_an_eighth_and_the_last(monkeypatch):
    lines = shown(monkeypatch, io.StringIO(), 1000)
    assert lines == ["row 1.", *(f"row {125 * part}." for part in range(1, 9))]


def test_of_eight_rows_every_one_is_shown(monkeypatch):
    assert len(shown(monkeypatch, io.StringIO(), 8)) == 8


@pytest.mark.parametrize("options", [{}, {"line": "the end."}])
def test_the_row_at_which_it_ended_early_is_shown_before_what_follows(monkeypatch, options):
    lines = shown(monkeypatch, io.StringIO(), 1013, of=100_000, **options)
    assert lines == ["row 1.", "row 1013.", *options.values()]


def test_a_terminal_shows_every_row_in_its_live_line_and_keeps_few(monkeypatch):
    lines = shown(monkeypatch, Terminal(), 1000)
    assert sum("row" in line for line in lines) > 100
    assert sum(line.startswith("row") for line in lines) <= 10


def test_a_quiet_screen_shows_nothing(monkeypatch):
    errors = io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    assert shown(monkeypatch, io.StringIO(), 1000, quiet=True, line="an end.") == []
    assert errors.getvalue() == ""
