"""Faults planted in data put the right advice first, by a whole run of what a user would run; clean twins stay quiet.

The doses are as large as they are in trouble worth mentioning, so that what is tested is the way from data to words;
the power of the intervals is tested on drawn errors beside this file. Counts over 100 seeds: docs/planted-faults.md.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from gnomon.metrics.intervals import wilson

_spec = importlib.util.spec_from_file_location("fault_kinds", Path(__file__).with_name("fault_kinds.py"))
fault_kinds = importlib.util.module_from_spec(_spec)
sys.modules["fault_kinds"] = fault_kinds  # its dataclass looks its module up
_spec.loader.exec_module(fault_kinds)

KINDS = {kind.fault: kind for kind in fault_kinds.KINDS}


@pytest.mark.parametrize("fault", KINDS)
def test_the_right_advice_comes_first(fault, tmp_path):
    is_right, _ = fault_kinds.tried(KINDS[fault], 0, tmp_path)
    assert is_right


@pytest.mark.parametrize("fault", KINDS)
def test_a_clean_twin_raises_no_alarm(fault, tmp_path):
    with fault_kinds.without_pages():
        assert not KINDS[fault].is_alarm(0, tmp_path)


def test_there_are_twelve_kinds_and_more():
    assert len(KINDS) >= 12


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", KINDS)
def test_the_right_advice_comes_first_for_95_of_100_seeds_and_at_most_5_clean_twins_raise_an_alarm(fault, tmp_path):
    found = [fault_kinds.tried(KINDS[fault], seed, tmp_path) for seed in range(1000, 1100)]
    for place, what in enumerate(("right advice first", "false alarms")):
        share = wilson(sum(one[place] for one in found), len(found))
        print(f"\n{fault}: {what} {share.value:.2f} [{share.low:.3f}, {share.high:.3f}]")
    assert sum(right for right, _ in found) >= 95
    assert sum(alarm for _, alarm in found) <= 5
