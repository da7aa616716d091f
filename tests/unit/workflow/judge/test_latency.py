"""Latency: the interval of a median by the book, and what is timed when."""

from __future__ import annotations

import numpy as np
import pytest

import gnomon
from gnomon.core.errors import UsageError
from gnomon.workflow.judge.latency import latency, median


def test_the_interval_of_a_median_matches_the_book():
    # exact ranks of a 95 % interval for a median: 2nd and 9th of 10, 6th and 15th of 20, 40th and 61st of 100
    # (Conover 1999, Practical Nonparametric Statistics, table A3)
    for size, low, high in ((10, 2, 9), (20, 6, 15), (100, 40, 61)):
        found = median(np.arange(1, size + 1, dtype=float))
        assert (found.value, found.low, found.high) == ((size + 1) / 2, low, high)


def test_a_run_is_timed_on_its_own_examples(tmp_path):
    run = gnomon.fit("wine", epochs=1, runs_folder=str(tmp_path))
    found = latency(run)
    assert 0 < found.low <= found.value <= found.high < 100


def test_data_that_was_in_memory_has_to_be_handed_over(tmp_path):
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(80, 3)), rng.integers(2, size=80))
    run = gnomon.fit(data, epochs=1, runs_folder=str(tmp_path))
    with pytest.raises(UsageError, match="was in memory"):
        latency(run)
    assert latency(run, data).value > 0
