"""Series that are short, long, incomplete or extreme for those in training are tagged."""

from __future__ import annotations

import numpy as np
import polars as pl

from gnomon.strategy.series_tags import from_series


def test_what_is_unusual_for_the_training_series_is_tagged():
    rng = np.random.default_rng(0)
    usual = [rng.normal(size=(int(steps), 2)) for steps in rng.integers(20, 31, 100)]
    plain, short, long = (rng.uniform(-1, 1, (steps, 2)) for steps in (25, 5, 80))
    holed, extreme = plain.copy(), plain.copy()
    holed[3, 1], extreme[7, 0] = np.nan, 9.0
    table = pl.DataFrame({"error": [1.0] * 5})
    tags = from_series(table, np.arange(5), [plain, short, long, holed, extreme], usual)
    assert {tag.name: np.flatnonzero(tag.tagged).tolist() for tag in tags} == {
        "short series": [1], "long series": [2], "missing values": [3], "extreme values": [4],
    }  # fmt: skip


def test_a_column_that_hardly_ever_changes_makes_nothing_extreme():
    usual = [np.zeros((10, 1)) for _ in range(20)]
    blip = np.zeros((10, 1))
    blip[4] = 1.0
    assert from_series(pl.DataFrame({"error": [1.0]}), np.arange(1), [blip], usual) == []
