"""Matched trials: trained once, nested parts of train, and a run's settings as they were before they were filled in."""

from __future__ import annotations

import itertools
import time

import numpy as np
import polars as pl
import pytest

from gnomon.core.settings import from_flat, value_of
from gnomon.workflow.improve.matched import Matched, Outcome, Refused, nested_rows, opened_settings
from gnomon.workflow.prepare import prepare
from gnomon.workflow.session import open_session
from gnomon.workflow.trial import Trials

SETTINGS = {"model": "dense", "epochs": 2, "seed": 4}


@pytest.fixture(scope="module")
def matched():
    opened = from_flat(SETTINGS)
    return Matched(Trials(prepare("iris", opened), opened, given=frozenset({"model.name", "stop.epochs", "seed"})))


def test_a_setting_is_trained_once_per_seed(matched):
    first = matched.outcome({"regularise.dropout": [0.5]}, 4)
    trained, cost = matched.trained, matched.cost
    again = matched.outcome({"regularise.dropout": [0.5]}, 4)
    assert again is first
    assert (matched.trained, matched.cost) == (trained, cost)
    other = matched.outcome({"regularise.dropout": [0.5]}, 5)
    assert matched.trained == trained + 1
    assert not other.evaluations["dev"].table.equals(first.evaluations["dev"].table)


def test_the_cost_is_three_forward_passes_per_example_and_epoch(matched):
    found = matched.outcome({}, 4)
    assert isinstance(found, Outcome)
    layers = 4 * 256 + 256 * 256 + 256 * 3  # iris: four numbers, three classes, two layers of 256
    assert found.cost == pytest.approx(3 * layers * found.examples * 2)


def test_a_deadline_that_has_passed_refuses_and_says_so(matched):
    found = matched.outcome({"stop.epochs": 3}, 4, deadline=time.monotonic() - 1)
    assert isinstance(found, Refused)
    assert found.is_out_of_time


def test_settings_that_cannot_be_built_or_diverge_are_refused_not_raised(matched):
    assert isinstance(matched.outcome({"model.name": "convnet"}, 4), Refused)
    diverged = matched.outcome({"optimiser.name": "sgd", "optimiser.learning_rate": 1e30}, 4)
    assert isinstance(diverged, Refused)
    assert "diverged" in diverged.why


def test_parts_of_train_are_nested_and_keep_the_classes_in_proportion(matched):
    prepared = matched.trials.prepared
    parts = [set(nested_rows(prepared, share, seed=3).tolist()) for share in (0.125, 0.25, 0.5, 1.0)]
    assert all(small < large for small, large in itertools.pairwise(parts))
    total = len(prepared.splits["train"])
    assert [len(part) for part in parts] == [round(share * total) for share in (0.125, 0.25, 0.5, 1.0)]
    strata = prepared.splits["train"].index["stratum"].to_numpy()
    counts = np.unique(strata[sorted(parts[1])], return_counts=True)[1]
    assert counts.max() - counts.min() <= 2


def test_another_seed_draws_another_part(matched):
    prepared = matched.trials.prepared
    assert nested_rows(prepared, 0.25, 1).tolist() != nested_rows(prepared, 0.25, 2).tolist()


def test_groups_stay_whole_except_the_last_one():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=400), "who": [f"p{i % 40}" for i in range(400)],
                          "y": rng.choice(["a", "b"], 400)})  # fmt: skip
    opened = from_flat({"target": "y", "group": "who"})
    prepared = prepare(frame, opened)
    rows = nested_rows(prepared, 0.5, 0)
    groups = prepared.splits["train"].index["group"]
    taken = groups[rows].value_counts()
    whole = groups.value_counts().rename({"count": "all"})
    cut = taken.join(whole, on="group").filter(pl.col("count") < pl.col("all"))
    assert len(cut) <= 1


def test_a_runs_unset_settings_are_unset_again():
    opened = from_flat({**SETTINGS, "max_time": 60, "run_name": "x", "goal.human": 0.01})
    given = frozenset({"model.name", "stop.epochs", "seed", "stop.max_time", "run_name", "goal.human"})
    filled = open_session(prepare("iris", opened), opened, given).settings
    again = opened_settings(filled, given)
    assert value_of(again, "optimiser.learning_rate") is None
    assert again.stop.epochs == 2
    assert again.goal.human == (0.01,)
    assert again.stop.max_time is None
    assert again.run_name is None
