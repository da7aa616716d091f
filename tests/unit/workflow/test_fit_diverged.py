"""A training that comes to no number keeps the weights that were best until then."""

from __future__ import annotations

import pytest

import gnomon
from gnomon.core.errors import DivergedError, UsageError

CALM = {"optimiser": "sgd", "schedule": "discrete", "weight_decay": 0, "hidden": (64, 64)}


def test_the_weights_of_the_best_epoch_before_a_divergence_are_those_of_a_shorter_run():
    with pytest.raises(DivergedError, match=r"The weights of epoch 3, the best so far, are kept") as caught:
        gnomon.fit("wine", epochs=6, **{**CALM, "schedule.table": "1:0.002,4:1e12"})
    answers = gnomon.load(caught.value.where).predict("wine")
    shorter = gnomon.fit("wine", epochs=3, **{**CALM, "schedule.table": "1:0.002"})
    assert [row["best"] for row in shorter.history] == [True, True, True]
    assert answers.equals(shorter.predict("wine"))


def test_before_the_first_look_there_is_nothing_to_keep():
    with pytest.raises(DivergedError) as caught:
        gnomon.fit("wine", epochs=6, **{**CALM, "schedule.table": "1:1e12"})
    assert "are kept" not in str(caught.value)
    with pytest.raises(UsageError, match="no model yet"):
        gnomon.load("latest").predict("wine")
