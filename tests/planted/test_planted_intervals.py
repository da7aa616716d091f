"""Intervals of 95 % hold the truth 95 times in 100, whatever they are of; every figure is in docs/planted-faults.md."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location("interval_cases", Path(__file__).with_name("interval_cases.py"))
interval_cases = importlib.util.module_from_spec(_spec)
sys.modules["interval_cases"] = interval_cases
_spec.loader.exec_module(interval_cases)

CASES = {case.name: case for case in interval_cases.CASES}


def test_case_names_are_unique_and_every_corner_is_a_case():
    assert len(CASES) == len(interval_cases.CASES)
    assert set(interval_cases.CORNERS) <= set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_an_interval_contains_its_own_value(name):
    found, _ = CASES[name].draw(np.random.default_rng(3))
    assert found.low <= found.value <= found.high


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CASES)
def test_an_interval_covers_as_often_as_it_says(name):
    """Within its band, give or take two and a half standard deviations of so many repeats."""
    case = CASES[name]
    held, repeats, _ = interval_cases.coverage(case, case.repeats)
    share, slack = held / repeats, 2.5 * np.sqrt(0.05 * 0.95 / case.repeats)
    print(f"\n{name}: {share:.3f}")
    assert case.band[0] - slack <= share <= case.band[1] + slack
