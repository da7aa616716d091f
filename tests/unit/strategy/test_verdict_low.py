"""When bias and variance are called low."""

from __future__ import annotations

import pytest

from gnomon.strategy.ladder import diagnose_rates


@pytest.mark.parametrize(
    ("errors", "is_low"),
    [
        ({"train": (0.002, 1000), "dev": (0.01, 1000)}, True),
        ({"train": (0.002, 1000), "dev": (0.012, 1000)}, False),
        ({"human": 0.005, "train": (0.002, 1000), "dev": (0.012, 1000)}, True),
        ({"train": (0.3, 1000), "dev": (0.01, 1000)}, False),  # train far above dev is nothing to be calm about
        ({"train": (0.0, 1000), "dev": (0.01, 1000), "test": (0.2, 1000)}, False),
        ({"dev": (0.0, 1000)}, False),  # one rung alone says nothing of either
    ],
)
def test_low_is_at_most_one_point_above_people_on_every_rung(errors, is_low):
    assert diagnose_rates(errors).verdict.is_low is is_low


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({"train": (0.0, 1000), "dev": (0.008, 1000)}, "the dev error is only 0.8 %"),
        ({"train": (0.0, 1000), "dev": (0.0, 1000)}, "not one example is wrong"),
        ({"human": 0.004, "train": (0.004, 1000), "dev": (0.008, 1000)}, "the dev error is 0.4 points above the human"),
        ({"human": 0.05, "train": (0.04, 1000), "dev": (0.04, 1000)}, "no error is above the human level"),
    ],
)
def test_low_bias_and_variance_come_with_their_measure(errors, words):
    assert f"Low bias and low variance: {words}" in diagnose_rates(errors).verdict.text


@pytest.mark.parametrize("human", [None, 0.0, 0.004, 0.02])
@pytest.mark.parametrize("train", [0.0, 0.004, 0.1])
@pytest.mark.parametrize("dev", [0.0, 0.003, 0.008, 0.1, 0.2])
@pytest.mark.parametrize("examples", [60, 1000, 20_000])
def test_a_verdict_is_one_sentence(human, train, dev, examples):
    people = {} if human is None else {"human": human}
    text = diagnose_rates({**people, "train": (train, examples), "dev": (dev, examples)}).verdict.text
    assert text[0].isupper()
    assert text.endswith(".")
    assert ". " not in text


def test_low_on_few_examples_is_said_with_a_reserve():
    few = diagnose_rates({"train": (0.0, 100), "dev": (0.0, 30)}).verdict.text
    assert few.startswith("Low bias and low variance as far as 30 dev examples can tell: not one example is wrong")
