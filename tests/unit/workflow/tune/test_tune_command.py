"""gnomon tune on the command line: what varies first, one line per trial, the block that matters; one JSON object."""

from __future__ import annotations

import json
import re

import pytest

from gnomon.cli import main

QUICK = ("trials=5", "workers=1", "epochs=2", "repeats=1")


def test_the_space_is_shown_before_the_first_trial_and_what_was_found_after_the_last(capsys):
    assert main(["tune", "wine", *QUICK]) == 0
    shown = capsys.readouterr().out
    order = ["space", "learning_rate", "rounds", "1/5", "5/5", "best       trial", "settings=", "report"]
    places = [shown.index(word) for word in order]
    assert places == sorted(places)
    assert re.search(r"too few trials for [a-z_, ]*momentum", shown)


def test_one_trial_is_singular(capsys):
    assert main(["tune", "wine", "trials=2", "workers=1", "epochs=1", "repeats=0"]) == 0
    assert "the defaults, then 1 trial of learning_rate" in capsys.readouterr().out


def test_json_is_one_object_and_nothing_else(capsys):
    assert main(["tune", "wine", *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"best", "defaults", "luck", "gain", "again", "edges", "settings_file", "run", "report"} <= set(found)


def test_the_settings_file_is_taken_by_fit(capsys):
    assert main(["tune", "wine", *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["fit", "wine", f"settings={found['settings_file']}", "--json"]) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert fitted["errors"]["dev"]["error"] == pytest.approx(found["best"]["error"])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["tune"], "tune needs data"),
        (["tune", "iris", "trials=many"], "trials=many is not a whole number"),
        (["tune", "iris", "time=soon"], "data.time=COLUMN"),
        (["tune", "iris", "stop_early=maybe"], "stop_early=maybe is not yes or no"),
        (["tune", "iris", "learning_rate=1e-1..1e-4"], "give the smaller end first"),
        (["tune", "--resume", "nowhere"], "does not exist"),
        (["tune", "--resume", "nowhere", "trials=9"], "a resumed search keeps its settings; trials cannot be changed"),
    ],
)
def test_an_unusable_command_is_two_lines(words, text, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert text in said
    assert len(said.splitlines()) == 2


def test_a_run_is_not_resumed_as_a_search(capsys):
    assert main(["fit", "iris", "epochs=1"]) == 0
    assert main(["tune", "--resume", "runs/latest"]) == 2
    assert "is a run, not a search" in capsys.readouterr().err
