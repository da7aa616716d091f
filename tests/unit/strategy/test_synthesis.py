"""Artificial data: the notes' hour of noise, and how much of the space a bank has seen."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.core.errors import UsageError
from gnomon.strategy.synthesis import examine_bank, good_turing_coverage


def test_one_hour_of_noise_for_ten_thousand_hours_of_speech_warns():
    found = examine_bank(10_000, 1, unit="hours")
    assert found.repeats == 10_000
    assert "The bank (1 hours) is used about 10,000 times over for 10,000 hours" in found.warning
    assert "About 1,000 hours of originals would repeat fewer" in found.warning


def test_ten_thousand_hours_of_noise_for_as_many_of_speech_do_not():
    assert examine_bank(10_000, 10_000, unit="hours").warning == ""


def test_drawing_with_replacement_leaves_a_third_unused():
    # the birthday problem's limit: 1 - 1/e
    assert examine_bank(1000, 1000).used == pytest.approx(1 - np.exp(-1))
    rng = np.random.default_rng(0)
    seen = np.mean([len(set(rng.integers(1000, size=1000).tolist())) / 1000 for _ in range(50)])
    assert examine_bank(1000, 1000).used == pytest.approx(seen, abs=0.01)


def test_coverage_is_good_and_turings():
    # by hand: 3 of 10 originals are of kinds seen once
    assert good_turing_coverage([1, 1, 1, 3, 4]) == pytest.approx(0.7)
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 1001)
    share /= share.sum()
    guessed, true = [], []
    for _ in range(200):
        bank = np.bincount(rng.choice(1000, size=150, p=share), minlength=1000)
        guessed.append(good_turing_coverage(bank[bank > 0].tolist()))
        true.append(share[bank > 0].sum())
    assert np.mean(guessed) == pytest.approx(np.mean(true), abs=0.01)


def test_twenty_cars_of_a_game_are_a_small_part_of_all_cars():
    # the notes: a video game has 20 models of cars, the street thousands; each model came once
    found = examine_bank(100, 20, kinds=[1] * 18 + [2])
    assert found.coverage == pytest.approx(0.1)
    assert "a small part of the space" in found.warning


def test_no_bank_is_refused():
    with pytest.raises(UsageError, match="bank=0"):
        examine_bank(10, 0)
    with pytest.raises(UsageError, match="at least one original"):
        good_turing_coverage([0, 2])
