"""What must hold for every division, whatever the data."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gnomon.core.errors import DataError
from gnomon.data.splits import divide, divide_two

SEEDS = st.integers(0, 2**31)
CLASSES = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=4, max_size=80)
GROUPS = st.lists(st.integers(0, 12), min_size=5, max_size=80)


def index_of(stratum, group=None) -> pl.DataFrame:
    number = len(stratum)
    return pl.DataFrame(
        {
            "id": [f"{i:03d}" for i in range(number)],
            "stratum": pl.Series(stratum, dtype=pl.String),
            "group": pl.Series([None if g is None else str(g) for g in group or [None] * number], dtype=pl.String),
            "time": pl.Series([None] * number, dtype=pl.String),
        }
    )


def divided(index, seed, dev=0.2, test=0.2):
    try:
        return divide(index, dev=dev, test=test, by_time=False, seed=seed)
    except DataError:
        assume(False)


def ids(index, division):
    return [set(index["id"][part.tolist()]) for part in (division.train, division.dev, division.test)]


@settings(max_examples=100, deadline=None)
@given(CLASSES, SEEDS, st.floats(0.01, 0.49), st.floats(0.01, 0.49))
def test_splits_are_disjoint_complete_sorted_and_never_empty(stratum, seed, dev, test):
    index = index_of(stratum)
    division = divided(index, seed, dev, test)
    parts = [division.train, division.dev, division.test]
    assert sorted(np.concatenate(parts)) == list(range(len(index)))
    for part in parts:
        assert len(part)
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(10, 60), min_size=1, max_size=6), SEEDS, st.floats(0.1, 0.3), st.floats(0.1, 0.3))
def test_every_class_is_within_one_example_of_its_share(sizes, seed, dev, test):
    stratum = [str(k) for k, size in enumerate(sizes) for _ in range(size)]
    division = divided(index_of(stratum), seed, dev, test)
    labels = np.array(stratum)
    assert len(division.dev) == round(dev * len(labels))
    assert len(division.test) == round(test * len(labels))
    for k, size in enumerate(sizes):
        assert abs((labels[division.dev] == str(k)).sum() - dev * size) < 1 + 1e-6
        assert abs((labels[division.test] == str(k)).sum() - test * size) < 1 + 1e-6


@settings(max_examples=100, deadline=None)
@given(GROUPS, SEEDS, st.randoms())
def test_groups_never_sit_on_both_sides(group, seed, random):
    index = index_of([random.choice("ab") for _ in group], group)
    division = divided(index, seed)
    sides = [set(index["group"][part.tolist()]) for part in (division.train, division.dev, division.test)]
    assert sum(len(side) for side in sides) == len(set().union(*sides))
    assert sum(len(part) for part in (division.train, division.dev, division.test)) == len(index)
    assert all(sides)


@pytest.mark.parametrize("grouped", [False, True])
@settings(max_examples=60, deadline=None)
@given(GROUPS, SEEDS, st.randoms())
def test_the_order_of_rows_changes_nothing(grouped, group, seed, random):
    index = index_of([random.choice("abc") for _ in group], group if grouped else None)
    order = list(range(len(index)))
    random.shuffle(order)
    turned = index[order]
    assert ids(index, divided(index, seed)) == ids(turned, divided(turned, seed))


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 60), st.integers(3, 60), SEEDS)
def test_two_distributions_are_split_completely(num_source, num_target, seed):
    source, target = index_of(["a"] * num_source), index_of(["a"] * num_target)
    division = divide_two(source, target, dev=None, test=None, train_dev=None, seed=seed)
    of_source = np.concatenate([division.source_train, division.source_train_dev])
    of_target = [division.target_train, division.target_train_dev, division.target_dev, division.target_test]
    assert sorted(of_source) == list(range(num_source))
    assert sorted(np.concatenate(of_target)) == list(range(num_target))
    assert len(division.target_dev)
