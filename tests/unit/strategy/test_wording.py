"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from gnomon.core.evaluation import SHARE
from gnomon.strategy.ladder import diagnose_rates
from gnomon.strategy.wording import (
    MARK,
    MARK_BOUND,
    MARK_CONTENDER,
    format_count,
    format_error,
    format_gap,
    ladder_rows,
    ladder_text,
    split_name,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.041, SHARE, "4.1 %"),
        (0.0, SHARE, "0.0 %"),
        (1.0, SHARE, "100.0 %"),
        (0.00052, SHARE, "0.052 %"),
        (42.345, "mg/dl", "42.3 mg/dl"),
        (0.0012345, "m", "0.00123 m"),
        (12345.6, "", "12,346"),
        (1e-9, "m", "1.00e-09 m"),
        (0.0, "m", "0 m"),
        (2.5, None, "2.50"),
        (math.inf, "m", "∞ m"),
    ],
)
def test_errors_are_in_percent_or_in_their_unit(value, unit, text):
    assert format_error(value, unit) == text


def test_gaps_between_shares_are_points():
    assert format_gap(0.031, SHARE) == "3.1 points"
    assert format_gap(3.1, "mg/dl") == "3.10 mg/dl"


@pytest.mark.parametrize(
    ("count", "text"),
    [(9, "9"), (87, "87"), (321, "about 320"), (12_444, "about 12,000"), (10**8, "more than 10 million")],
)
def test_planned_counts_are_round(count, text):
    assert format_count(count) == text


def test_splits_are_spelled_with_a_hyphen():
    assert split_name("train_dev") == "train-dev"


def test_rows_hold_every_cell():
    found = diagnose_rates({"human": 0.0, "train": (0.01, 10_000), "train_dev": (0.09, 10_000), "dev": (0.1, 10_000)},
                           dev_looks=5, test_openings=2)  # fmt: skip
    rows = ladder_rows(found)
    assert [row.split for row in rows] == ["human", "train", "train-dev", "dev", "test"]
    assert rows[0].error == "0.0 %"
    assert rows[0].note == "given"
    assert (rows[2].error, rows[2].gap, rows[2].gap_name, rows[2].mark) == ("9.0 %", "+8.0", "variance", MARK)
    assert rows[2].interval == "[ 7.4,  8.6]"
    assert rows[3].note.startswith("best of 5 looks")
    assert rows[4].note == "sealed (gnomon test opens it; opened 2 times)"


def test_two_contenders_are_both_marked():
    rows = ladder_rows(diagnose_rates({"human": 0.0, "train": (0.15, 10_000), "dev": (0.3, 10_000)}))
    assert [row.mark for row in rows] == ["", MARK_CONTENDER, MARK_CONTENDER]


def test_a_bound_is_marked_and_an_unknown_level_shows_no_number():
    rows = ladder_rows(diagnose_rates({"train": (0.2, 10_000), "dev": (0.3, 10_000)}))
    assert rows[0].error == "?"
    assert (rows[1].gap, rows[1].gap_name, rows[1].mark) == ("20.0", "avoidable bias at most", MARK_BOUND)


def test_a_negative_variance_is_explained():
    rows = ladder_rows(diagnose_rates({"human": 0.0, "train": (0.3, 10_000), "dev": (0.2, 10_000)}))
    assert (rows[2].gap, rows[2].gap_name) == ("-10.0", "no variance: train is above dev")


def test_small_intervals_get_a_second_digit_and_never_a_negative_zero():
    rows = ladder_rows(diagnose_rates({"human": 0.0, "train": (0.001, 10_000), "dev": (0.002, 10_000)}))
    assert rows[1].interval == "[0.05, 0.18]"  # Wilson of 10 in 10,000
    assert "-0.00" not in "".join(row.interval for row in rows)


def test_the_plain_text_is_aligned_and_complete():
    found = diagnose_rates({"human": 0.01, "train": (0.041, 5912), "dev": (0.118, 739)}, test_openings=0)
    lines = ladder_text(found).splitlines()
    start = lines[0].index("gap")
    assert all(line[start] == "+" for line in lines[2:4])
    assert f"{lines[6].strip()} {lines[7].strip()}" == found.verdict.text
    assert all(f"{number}. {one.action}" in lines[7 + number] for number, one in enumerate(found.advice, start=1))
    assert lines[-1] == lines[-1].rstrip()
