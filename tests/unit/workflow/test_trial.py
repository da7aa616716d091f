"""A trial is a fit without a folder: same settings, same system."""

from __future__ import annotations

import numpy as np
import pytest

import gnomon
from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat
from gnomon.workflow.prepare import prepare
from gnomon.workflow.trial import Trials

SETTINGS = {"model": "dense", "epochs": 3, "seed": 7}


@pytest.fixture(scope="module")
def trials():
    opened = from_flat(SETTINGS)
    return Trials(prepare("wine", opened), opened, given=frozenset({"model.name", "stop.epochs", "seed"}))


def test_a_trial_ends_where_fit_with_its_settings_ends(trials):
    trial = trials.run({"learning_rate": 0.01})
    run = gnomon.fit("wine", **SETTINGS, learning_rate=0.01)
    for split in ("train", "dev"):
        assert trial.evaluations[split].table.equals(run.evaluation(split).table)
    assert [row["train_loss"] for row in trial.history] == [row["train_loss"] for row in run.history]


def test_trials_do_not_affect_one_another(trials):
    first = trials.run({"learning_rate": 0.01})
    trials.run({"learning_rate": 0.5, "hidden": (8,)})
    again = trials.run({"learning_rate": 0.01})
    assert first.evaluations["dev"].table.equals(again.evaluations["dev"].table)


def test_a_trial_can_train_on_a_part_of_train_with_the_same_dev(trials):
    rows = np.arange(0, len(trials.prepared.splits["train"]), 2)
    trial = trials.run(rows=rows)
    ids = trials.prepared.splits["train"].index["id"]
    assert trial.evaluations["train"].table["id"].to_list() == ids[rows].to_list()
    whole = trials.run()
    assert trial.evaluations["dev"].table["id"].equals(whole.evaluations["dev"].table["id"])
    assert trial.examples_seen == 3 * len(rows)
    assert whole.cost == pytest.approx(trial.cost * len(ids) / len(rows))


def test_a_listener_can_end_a_trial(trials):
    trial = trials.run(keep_going=lambda row: row["epoch"] < 2)
    assert len(trial.history) == 2
    assert trial.ended_because == "stopped"


def test_shared_settings_cannot_be_changed_in_one_trial(trials):
    with pytest.raises(UsageError, match=r"split\.dev cannot differ"):
        trials.run({"split.dev": 0.5})
