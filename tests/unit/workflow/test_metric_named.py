"""A metric that the user names is what is measured, chosen by and answered for, with tables and with pictures."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

import gnomon
from gnomon.core.errors import UsageError

QUICK = {"epochs": 4, "hidden": (8,), "dropout": ()}


def rare(number: int = 600, seed: int = 0) -> pl.DataFrame:
    """One row in twelve is a yes, and the inputs only make it likelier."""
    rng = np.random.default_rng(seed)
    is_yes = rng.random(number) < 1 / 12
    inputs = rng.normal(size=(number, 3)) + 1.2 * is_yes[:, None]
    columns = {f"x{i}": inputs[:, i] for i in range(3)}
    return pl.DataFrame(columns).with_columns(ill=pl.Series(np.where(is_yes, "yes", "no")))


def test_f1_is_measured_with_a_threshold_chosen_on_dev():
    run = gnomon.fit(rare(), target="ill", metric="f1", **QUICK)
    dev = run.evaluation("dev").table
    expected = 1 - f1_score(dev["target"], dev["prediction"], pos_label="yes")
    assert run.diagnosis.error_name == "1 - F1 of yes"
    assert {rung.name: rung for rung in run.diagnosis.rungs}["dev"].error == pytest.approx(expected)
    least = dev.filter(prediction="yes")["p.yes"].min()
    assert least < 0.5  # half of them would be missed at a half
    assert dev.filter(prediction="no")["p.yes"].max() < least
    again = gnomon.load(run.path)
    answers = again.predict(rare(seed=1).drop("ill"))
    answered = answers.filter(prediction="yes")["p.yes"].min()
    assert dev.filter(prediction="no")["p.yes"].max() <= answered < 0.5


def test_the_best_epoch_is_the_best_by_that_metric():
    run = gnomon.fit(rare(), target="ill", metric="recall@precision>=0.5", **QUICK)
    best = min(row["dev_error"] for row in run.history)
    assert {rung.name: rung for rung in run.diagnosis.rungs}["dev"].error == pytest.approx(best)


def test_costs_decide_the_answers_of_pictures_too():
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 2
    run = gnomon.fit((pictures, labels), costs="1:1000", epochs=1, test=0)
    assert set(run.evaluation("dev").table["prediction"].cast(str)) == {"1"}


def test_numbers_have_no_such_metric():
    with pytest.raises(UsageError, match="metric=f1 would have no effect here"):
        gnomon.fit("diabetes", metric="f1")
