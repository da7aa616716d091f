"""A search from Python: the same each time, stopped and resumed without a trace, honest about what it found."""

from __future__ import annotations

import os
import signal

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

import gnomon
from gnomon.core.errors import DataError, DivergedError, StoppedError, UsageError
from gnomon.core.settings import from_flat, value_of
from gnomon.runs.search_folder import SearchFolder
from gnomon.runs.settings_file import from_toml
from gnomon.search.results import FINISHED
from gnomon.workflow.prepare import prepare
from gnomon.workflow.session import open_session
from gnomon.workflow.trial import Trials
from gnomon.workflow.tune.plan import Silent
from gnomon.workflow.tune.tune import tune
from gnomon.workflow.tune.worker import Job, known_measures, make

SMALL = {"trials": 8, "workers": 1, "repeats": 1, "epochs": 4}


@pytest.fixture(autouse=True)
def no_picture_is_drawn(monkeypatch):
    """Nine tenths of a small search is drawing. What `tuned` returns, made before this, has its pictures."""
    monkeypatch.setattr(Figure, "savefig", lambda _figure, buffer, **_options: buffer.write(b"<svg></svg>"))
    monkeypatch.setattr(Figure, "findobj", lambda _figure, _kind: [])  # its texts, which makes all ticks


class StopAfter(Silent):
    """Sends this process a Ctrl-C after so many trials."""

    def __init__(self, trials: int) -> None:
        self.left = trials

    def on_trial(self, result, *, is_best):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def told(results):
    """Everything about trials but how long they took."""
    return [
        (one.number, one.round, one.status, dict(one.point), one.error, one.loss, one.epoch_errors) for one in results
    ]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    return tune("wine", **SMALL, runs_folder=str(tmp_path_factory.mktemp("runs")))


def test_the_first_trial_is_what_fit_does_by_default(tuned):
    run = gnomon.fit("wine", epochs=4)
    assert tuned.results[0].epoch_errors == tuple(row["dev_error"] for row in run.history)


def test_the_best_is_the_smallest_error_trained_to_its_end(tuned):
    finished = [one for one in tuned.results if one.status == FINISHED]
    assert tuned.best.error == min(one.error for one in finished)
    assert len(tuned.results) == 8


def test_the_best_settings_are_a_file_that_trains_the_same_system_again(tuned):
    settings, given = from_toml(tuned.settings_file.read_bytes(), "settings.toml")
    run = gnomon.fit("wine", **{key: value_of(settings, key) for key in given if key != "runs_folder"})
    assert {"optimiser.learning_rate", "stop.epochs"} <= given
    assert run.evaluation("dev").table["error"].to_list() == pytest.approx(tuned.best.errors.tolist())
    assert tuned.run.evaluation("dev").table.equals(run.evaluation("dev").table)


def test_the_same_seed_gives_the_same_search(tuned):
    again = tune("wine", **SMALL)
    assert told(again.results) == told(tuned.results)
    for key in ("luck", "edges", "importance", "zooms", "gain", "again"):
        assert again.outcome[key] == tuned.outcome[key]


@pytest.mark.parametrize(
    "stops", [(3, 2), pytest.param((1,), marks=pytest.mark.slow), pytest.param((7,), marks=pytest.mark.slow)]
)
def test_a_search_stopped_and_resumed_is_the_one_that_was_never_stopped(tuned, stops):
    for count in stops:
        is_first = count == stops[0]
        data, begun = (("wine",), SMALL) if is_first else ((), {})
        path = None if is_first else SearchFolder.newest("runs").path
        with pytest.raises(StoppedError, match=r"continue with: gnomon tune --resume"):
            tune(*data, resume=path, follower=StopAfter(count), **begun)
    path = SearchFolder.newest("runs").path
    resumed = tune(resume=path)
    assert told(resumed.results) == told(tuned.results)
    assert resumed.outcome["again"] == tuned.outcome["again"]
    made = [line["number"] for line in resumed.folder.ledger.read() if line["kind"] == "trial"]
    assert sorted(made) == list(range(1, 9))  # none was made twice


def test_a_finished_search_is_returned_as_it_is(tuned):
    lines = len(tuned.folder.ledger.read())
    again = tune(resume=tuned.path)
    assert again.outcome == tuned.outcome
    assert len(tuned.folder.ledger.read()) == lines


def test_latest_is_the_run_with_the_best_settings_not_the_search():
    tuned = tune("wine", trials=2, workers=1, repeats=0, epochs=1)
    assert gnomon.load("latest").path == tuned.run.path


def test_of_all_trials_only_those_that_meet_the_condition_can_win(tuned):
    small = tune("wine", **SMALL, satisfy="parameters <= 3000", units="8..512")
    assert small.best.measures["parameters"] <= 3000
    missed = [one for one in small.results if one.unmet]
    assert missed
    assert all(one.measures["parameters"] > 3000 for one in missed)


def test_conditions_that_no_trial_meets_are_reported_with_the_closest_trial():
    with pytest.raises(
        UsageError, match=r"none of 2 trials meets every condition; trial \d comes closest \(size_mb <= "
    ):
        tune("iris", trials=2, workers=1, epochs=1, satisfy="size_mb <= 0.000001")


def test_an_unknown_metric_is_refused_before_anything_is_created(tmp_path):
    with pytest.raises(UsageError, match=r"unknown metric 'speed'. Fix: available: .*size_mb"):
        tune("iris", trials=2, workers=1, epochs=1, satisfy="error <= 1, speed >= 3")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_the_measures_known_beforehand_are_those_a_trial_has(data):
    session = open_session(prepare(data, opened := from_flat({"epochs": 1})), opened)
    trials = Trials(session.prepared, opened)
    made = make(trials, Job(1, {}, {}), measures=("latency_ms",))
    assert list(made["measures"]) == known_measures(session)


def test_latency_is_measured_where_a_condition_asks_for_it():
    tuned = tune("iris", trials=2, workers=1, repeats=0, epochs=1, satisfy="latency_ms <= 1000")
    assert 0 < tuned.best.measures["latency_ms"] < 1000


def test_rates_at_which_everything_diverges_are_reported():
    with pytest.raises(DivergedError, match=r"none of 3 trials finished; .*not finite"):
        tune(
            "diabetes", trials=3, workers=1, epochs=3, optimiser="sgd", learning_rate="1e15..1e18", normalisation="none"
        )


def test_data_in_memory_is_searched_by_one_worker():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 3))
    data = (inputs, (inputs.sum(axis=1) > 0).astype(int))
    with pytest.raises(UsageError, match="one worker only"):
        tune(data, trials=2, workers=2, epochs=1)
    tuned = tune(data, trials=2, repeats=0, epochs=1)
    assert len(tuned.results) == 2


def test_a_search_is_not_resumed_on_changed_data(tmp_path):
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"a": rng.normal(size=100), "b": rng.normal(size=100), "class": ["x", "y"] * 50})
    table.write_csv("data.csv")
    with pytest.raises(StoppedError):
        tune("data.csv", trials=4, workers=1, repeats=0, epochs=1, follower=StopAfter(1))
    table.head(90).write_csv("data.csv")
    with pytest.raises(DataError, match="not what this run was made from"):
        tune(resume=SearchFolder.newest("runs").path)


def test_time_ends_a_search_that_has_trials_left():
    tuned = tune("iris", trials=5000, time=2, workers=1, repeats=0, epochs=2)
    assert 2 <= len(tuned.results) < 5000
    assert tuned.outcome["seconds"] < 12  # the last trial, the fit and the report included, on a busy machine


def test_a_bad_trial_is_ended_early_and_cannot_win():
    tuned = tune("digits", trials=16, workers=1, repeats=0, epochs=4, model="dense", learning_rate="1e-6..1e-2")
    ended = [one for one in tuned.results if one.status == "stopped"]
    assert ended
    assert all(len(one.epoch_errors) < 4 and "half of the earlier trials" in one.note for one in ended)
    assert tuned.best.status == FINISHED


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"trials": 1}, "at least 2"),
        ({"sampler": "bayes"}, r"choose one of zoom, random, grid, tpe"),
        ({"workers": 0}, "at least 1"),
        ({"time": -1.0}, "a duration above 0"),
        ({"satisfy": "fast"}, "is not a condition"),
        ({"epoch": 3}, "did you mean stop.epochs"),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_anything_is_made(options, text, tmp_path):
    with pytest.raises(UsageError, match=text):
        tune("iris", **options)
    assert not (tmp_path / "runs" / "tune").exists()


@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_plain_random_and_grid_search_are_there_to_compare_with(sampler):
    tuned = tune("iris", trials=6, workers=1, repeats=0, epochs=1, sampler=sampler)
    assert 2 <= len(tuned.results) <= 6
    assert tuned.zooms == ()


def test_tpe_proposes_from_what_the_ledger_holds():
    pytest.importorskip("optuna")
    tuned = tune("iris", trials=14, workers=1, repeats=0, epochs=1, sampler="tpe")
    again = tune("iris", trials=14, workers=1, repeats=0, epochs=1, sampler="tpe")
    assert told(tuned.results) == told(again.results)
