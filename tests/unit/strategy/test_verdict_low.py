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
