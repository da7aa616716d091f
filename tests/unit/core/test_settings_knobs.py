"""Knobs: what they take, what they are refused for, and the link of the chain that each turns."""

from __future__ import annotations

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat, rows

LINKS = {"fit-train", "fit-dev", "fit-test", "real-world"}


def test_every_knob_of_model_training_and_regularisation_declares_its_link():
    for row in rows():
        if row.key.partition(".")[0] in ("model", "init", "regularise", "optimiser", "schedule"):
            assert len(row.links) == 1, row.key
            assert row.links[0] in LINKS, row.key


def test_early_stopping_turns_two_links_and_nothing_else_does():
    assert [row.key for row in rows() if len(row.links) == 2] == ["stop.patience"]
    links = {row.key: row.links for row in rows()}
    assert links["stop.patience"] == ("fit-train", "fit-dev")


@pytest.mark.parametrize("given", ["tanh,relu", ["tanh", "relu"], ("tanh", "relu")])
def test_an_activation_may_be_given_a_layer(given):
    assert from_flat({"activation": given}).model.activation == ("tanh", "relu")
    assert from_flat({"activation": "tanh"}).model.activation == ("tanh",)


def test_an_activation_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(UsageError, match=r"model\.activation=swish.*relu, leaky_relu, tanh or sigmoid"):
        from_flat({"activation": "relu,swish"})
    with pytest.raises(UsageError, match=r"model\.activation"):
        from_flat({"activation": ""})


def test_a_probability_of_keeping_is_no_probability_of_zeroing():
    with pytest.raises(UsageError, match=r"regularise\.dropout, which is 1 - keep_prob"):
        from_flat({"keep_prob": 0.8})
