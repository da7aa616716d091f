"""Equal rows of few values are no copies; copies are, however few values they have."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.settings import from_flat
from gnomon.data.coincidences import coincidences
from gnomon.data.leakage import find_leaks
from gnomon.data.opening import open_source
from gnomon.tasks import load

LEVELS = np.array(["never", "seldom", "often", "always"])


def answers(number, seed, *, columns=4, real=0):
    """Answers of four levels each, `real` columns of real numbers, and a class."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(4, size=(number, columns))
    table = {f"answer {i}": LEVELS[levels[:, i]] for i in range(columns)}
    table |= {f"number {i}": rng.normal(size=number) for i in range(real)}
    return pl.DataFrame({**table, "class": np.where(levels.sum(axis=1) > 1.5 * columns, "yes", "no")})


def examples(frame):
    settings = from_flat({"target": "class"})
    return load("tabular_classification").reader.read(open_source(frame), settings.data).splits["all"]


def leaks_of(train, dev):
    return find_leaks({"train": examples(train), "dev": examples(dev)})


@pytest.mark.parametrize("columns", [4, 6])  # 256 and 4,096 different rows: all of dev is in train, and about a fifth
def test_rows_with_few_values_do_not_count_as_copies_with_a_remark_in_the_report(columns):
    leaks = leaks_of(answers(1000, 0, columns=columns), answers(500, 1, columns=columns))
    assert leaks.count("dev", "train") == 0
    assert len(leaks.copies_in_train) == 0
    assert "may equal one of train by chance: rows with so few values often do" in leaks.remarks[-1]
    assert leaks.notes == ()


def test_answers_that_depend_on_each_other_are_not_copies_either():
    rng = np.random.default_rng(0)
    level = rng.integers(4, size=(1500, 1))
    levels = np.where(rng.random((1500, 6)) < 0.9, level, rng.integers(4, size=(1500, 6)))
    frame = pl.DataFrame({**{f"a{i}": LEVELS[levels[:, i]] for i in range(6)}, "class": LEVELS[level[:, 0]]})
    assert leaks_of(frame[:1000], frame[1000:]).count("dev", "train") <= 5  # rare rows may still look like copies


def test_copies_among_rows_of_few_values_are_found():
    train, dev = answers(1000, 0, columns=7), answers(500, 1, columns=7)  # 16,384 different rows
    leaks = leaks_of(pl.concat([train, dev[:150]]), dev)
    assert leaks.count("dev", "train") >= 150


def test_copies_of_rows_with_real_numbers_are_found_even_if_every_row_occurs_twice():
    twice = answers(600, 0, columns=2, real=2)
    both = pl.concat([twice, twice]).sample(fraction=1, shuffle=True, seed=0)
    leaks = leaks_of(both[:800], both[800:])
    assert leaks.count("dev", "train") > 200  # two of three expected


def test_a_single_column_of_real_numbers_shows_its_copies():
    train, dev = answers(600, 0, columns=0, real=1), answers(300, 1, columns=0, real=1)
    both = [frame.with_columns(pl.when(pl.col("number 0") > 0).then(pl.lit("a")).otherwise(pl.lit("b")).alias("class"))
            for frame in (train, dev)]  # fmt: skip
    assert leaks_of(pl.concat([both[0], both[1][:100]]), both[1]).count("dev", "train") == 100


def test_missing_values_are_values_here():
    frame = answers(1500, 3).with_columns(
        pl.when(pl.col("answer 0") != "never").then(pl.col("answer 0")).alias("answer 0")
    )
    assert coincidences(examples(frame[1000:]), examples(frame[:1000])).mean() > 0.9
