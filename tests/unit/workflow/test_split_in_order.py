"""in_order=yes: slices and frames are held out as blocks, because a neighbour is nearly a copy."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image

from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.split import by_name


@pytest.fixture
def slices(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
        mask = rng.integers(0, 2, (40, 40), dtype=np.uint8) * 255
        Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    return tmp_path


def numbers(examples):
    return sorted(int(name.rpartition("/")[2].removesuffix(".png")) for name in examples.index["id"].to_list())


def test_slices_are_held_out_as_the_last_blocks_in_the_order_of_their_numbers(slices):
    splits = prepare(str(slices), from_flat({"in_order": True, "dev": 0.25, "test": 0.25})).splits
    assert numbers(splits["train"]) == [0, 1, 2, 3, 4, 5]
    assert numbers(splits["dev"]) == [6, 7, 8]
    assert numbers(splits["test"]) == [9, 10, 11]


def test_without_it_they_are_drawn_at_random(slices):
    splits = prepare(str(slices), from_flat({"dev": 0.25, "test": 0.25})).splits
    assert numbers(splits["test"]) != [9, 10, 11]


def test_numbers_count_as_numbers_and_texts_before_them_come_first():
    names = ["b/10.png", "a/2.png", "b/9.png", "a/10.png", "a/1b.png"]
    places = by_name(pl.DataFrame({"id": names}))["time"].to_list()
    assert [names[places.index(i)] for i in range(5)] == ["a/1b.png", "a/2.png", "a/10.png", "b/9.png", "b/10.png"]


def test_folds_of_a_series_are_refused(slices):
    with pytest.raises(UsageError, match="in_order keeps neighbours together"):
        prepare(str(slices), from_flat({"in_order": True, "folds": 3}))
