"""improve and compare, asked about the same two systems, give one answer; improve starts from the run there is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.core.evaluation import SHARE
from gnomon.strategy.improve import compare, decide
from gnomon.strategy.paired import in_words
from gnomon.workflow.improve.loop import _unseen
from gnomon.workflow.improve.matched import Matched, finished_trial, opened_settings
from gnomon.workflow.judge.compare import compare as compare_runs
from gnomon.workflow.prepare import prepare
from gnomon.workflow.trial import Trials

SMALL = {"model": "logistic", "epochs": 4, "learning_rate": 0.01, "batch_size": 32, "human": 0.0}


def circle(number, seed):
    """Inside or outside of a circle; no straight line tells."""
    rng = np.random.default_rng([seed, number])
    inputs = rng.normal(size=(number, 2))
    inside = (inputs**2).sum(axis=1) < 1.4
    return pl.DataFrame({"x0": inputs[:, 0], "x1": inputs[:, 1], "class": np.where(inside, "in", "out")})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Train and dev in files; 60 of 300 dev rows are copies of training rows, which both have to leave out."""
    folder = tmp_path_factory.mktemp("data")
    train = circle(600, 1)
    train.write_csv(folder / "train.csv")
    pl.concat([circle(240, 2), train.head(60)]).write_csv(folder / "dev.csv")
    return folder


@pytest.fixture(scope="module")
def base(place):
    return gnomon.fit(str(place), **SMALL, runs_folder=str(place.parent / f"{place.name}-runs"))


@pytest.mark.parametrize("change", [("model.name", "dense"), ("regularise.weight_decay", 0.3)])
def test_improve_decides_in_the_words_and_figures_of_compare(change, place, base):
    key, value = change
    other = gnomon.fit(str(place), **{**SMALL, key.removesuffix(".name"): value}, runs_folder=str(base.path.parents[1]))
    matched = matched_of(base)
    before, after = ([_unseen(matched, matched.outcome(what, base.settings.seed))] for what in ({}, {key: value}))
    evidence = compare(before, after)
    found = compare_runs(base, other)
    (against,) = found.against
    said = in_words(against.test, found.choice.winner.name, against.other, SHARE, p_value=against.p_value)
    decision = decide(evidence, number_tried=1, unit=SHARE, names=(base.path.name, other.path.name))
    assert decision.why.partition(", but ")[0] + "." == said
    assert decision.is_proven == (found.choice.winner.name == other.path.name and against.p_value < 0.05)
    assert against.test.examples == evidence.test.examples == 240
    assert abs(evidence.gain) == pytest.approx(abs(against.test.difference.value))
    assert evidence.p_value == against.p_value


def matched_of(run):
    settings, given = run.folder.load_settings()
    opened = opened_settings(settings, given)
    return Matched(Trials(prepare(run.folder.load_data()["reopen"], opened), opened, given=given))


def test_a_finished_run_is_not_trained_again(base):
    matched = matched_of(base)
    trained = matched_of(base).outcome({}, base.settings.seed)
    matched.start_from(finished_trial(base, matched.trials))
    found = matched.outcome({}, base.settings.seed)
    assert matched.trained == 0
    assert found.dev_error == trained.dev_error
    assert found.train_error == trained.train_error
    assert found.cost == trained.cost
    assert found.here == trained.here


def test_improve_starts_from_the_run_there_is_and_hands_it_back_if_there_is_no_time_to_try(place, tmp_path):
    base = gnomon.fit(str(place), **SMALL, runs_folder=str(tmp_path))
    with base.folder.lock():  # as if it had taken long: there is time for one training, not for one and its evaluation
        base.folder.save_outcome({**base.folder.load_outcome(), "training_seconds": 50.0})
    found = gnomon.improve(base, time=56, runs_folder=str(tmp_path))
    assert [entry.event for entry in found.diary] == ["began", "first", "seen", "ended", "final"]
    assert found.diary[1].text.endswith("the run there is")
    before, after = base.evaluation("dev").table, found.run.evaluation("dev").table
    assert after["prediction"].to_list() == before["prediction"].to_list()
    assert [row["dev_error"] for row in found.run.history] == [row["dev_error"] for row in base.history]


def test_a_run_with_other_settings_is_trained(base):
    settings, given = base.folder.load_settings()
    opened = opened_settings(settings.model_copy(update={"seed": 5}), given | {"seed"})
    trials = Trials(prepare(base.folder.load_data()["reopen"], opened), opened, given=given | {"seed"})
    assert finished_trial(base, trials) is None
