"""How often dev was looked at is counted over everything that chose a system, not over its own training alone."""

from __future__ import annotations

import math

import pytest

import gnomon
from gnomon.workflow.looks import looks_at_dev


def rung(run):
    return next(rung for rung in run.diagnosis.rungs if rung.name == "dev")


def test_a_plain_fit_looks_once_per_epoch(tmp_path):
    run = gnomon.fit("wine", epochs=7, runs_folder=str(tmp_path))
    assert looks_at_dev(run.folder) == 7
    assert "best of 7 looks" in rung(run).note


def test_every_epoch_of_every_trial_of_a_search_was_a_look(tmp_path):
    found = gnomon.tune("wine", trials=5, workers=1, repeats=1, epochs=4, stop_early=False, runs_folder=str(tmp_path))
    trials = sum(len(one.epoch_errors) for one in found.results)
    again = sum(len(found.outcome["again"][name]) for name in ("best", "defaults") if name in found.outcome["again"])
    expected = 4 + trials + 4 * again  # its own training, the trials, the best and the defaults with another seed
    assert looks_at_dev(found.run.folder) == expected
    assert f"best of {expected} looks" in rung(found.run).note
    assert str(expected) in found.run.report.read_text()


def test_every_epoch_of_every_change_that_improve_tried_was_a_look(tmp_path):
    first = gnomon.fit("wine", epochs=3, runs_folder=str(tmp_path))
    found = gnomon.improve(first, time=8, runs_folder=str(tmp_path))
    tried = sum(int(entry.facts.get("looks", 0)) for entry in found.diary)
    assert found.diary[0].facts["looks"] == 3  # those of the run that it began with, which is not trained again
    assert found.diary[1].facts["looks"] == 0
    assert looks_at_dev(found.run.folder) == tried
    if any(entry.event == "tried" for entry in found.diary):
        assert tried > 3
    assert f"best of {tried} looks" in rung(found.run).note


def test_the_number_of_looks_is_compared_with_the_gap_from_dev_to_test():
    """sigma sqrt(2 ln k): 0.95 points of 1,000 examples at 10 %, times 3.0 for 100 looks."""
    from gnomon.strategy.ladder import diagnose_rates

    rates = {"train": (0.05, 10_000), "dev": (0.10, 1000), "test": (0.12, 10_000)}
    many = diagnose_rates(rates, dev_looks=100)
    most = 100 * math.sqrt(0.1 * 0.9 / 1000) * math.sqrt(2 * math.log(100))
    note = next(note for note in many.notes if note.startswith("overfitting to dev"))
    assert "the best of 100 looks can explain all 2.0 points" in note
    assert float(note.split("up to about ")[1].split(" ")[0]) == pytest.approx(most, abs=0.15)
    far = diagnose_rates({**rates, "test": (0.25, 10_000)}, dev_looks=100)
    note = next(note for note in far.notes if note.startswith("overfitting to dev"))
    assert "of 15.0 points; test may also be harder than dev" in note
    assert not any("overfitting to dev:" in note for note in diagnose_rates(rates, dev_looks=1).notes)
