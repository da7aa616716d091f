"""Leaks planted on purpose are named; clean data stays clean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import polars as pl
import pytest

from gnomon.core.example import Example, Examples
from gnomon.data import leakage
from gnomon.data.leakage import find_leaks


@final
@dataclass(frozen=True)
class Pictures(Examples):
    pictures: np.ndarray  # (N, S, S)
    labels: list[str | None]
    prefix: str = ""
    is_picture: bool = True

    @property
    def index(self) -> pl.DataFrame:
        number = len(self)
        return pl.DataFrame(
            {
                "id": [f"{self.prefix}{i}" for i in range(number)],
                "label": pl.Series(self.labels, dtype=pl.String),
                "stratum": pl.Series(self.labels, dtype=pl.String),
                "group": pl.Series([None] * number, dtype=pl.String),
                "time": pl.Series([None] * number, dtype=pl.String),
            }
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, position: int) -> Example:
        return Example(f"{self.prefix}{position}", self.pictures[position], self.labels[position])

    def take(self, positions):
        return Pictures(self.pictures[positions], [self.labels[i] for i in positions], self.prefix)

    def join(self, other):
        return Pictures(np.concatenate([self.pictures, other.pictures]), self.labels + other.labels, self.prefix)

    def fingerprints(self) -> np.ndarray:
        return np.array([hash(picture.tobytes()) % 2**64 for picture in self.pictures], dtype=np.uint64)

    def thumbnails(self) -> np.ndarray | None:
        return self.pictures.reshape(len(self), -1).astype(np.float32) if self.is_picture else None


def scenes(number: int, seed: int, side: int = 32) -> np.ndarray:
    """(N, side, side) float32 in [0, 255]: spots of all sizes, as unlike one another as photographs."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:side, :side] / side
    spots = rng.uniform(0, 1, (number, 25, 2))
    widths, heights = rng.uniform(0.02, 0.2, (number, 25)), rng.uniform(-1, 1, (number, 25))
    distance = (row - spots[..., 0, None, None]) ** 2 + (column - spots[..., 1, None, None]) ** 2
    picture = (heights[..., None, None] * np.exp(-distance / (2 * widths[..., None, None] ** 2))).sum(axis=1)
    return (128 + 40 * picture).clip(0, 255).astype(np.float32)


def pictures(array, prefix, label="a", **more):
    labels = [label] * len(array) if isinstance(label, str) else label
    return Pictures(array, labels, prefix, **more)


TRAIN = scenes(300, seed=1)
DEV = scenes(100, seed=2)


def test_clean_splits_have_no_leaks():
    leaks = find_leaks({"train": pictures(TRAIN, "t"), "dev": pictures(DEV, "d")})
    assert len(leaks.pairs) == 0
    assert len(leaks.copies_in_train) == 0
    assert leaks.notes == ()


def test_an_exact_copy_is_named_on_both_sides():
    dev = np.concatenate([DEV[:5], TRAIN[[42]]])
    leaks = find_leaks({"dev": pictures(dev, "d"), "train": pictures(TRAIN, "t")})
    assert leaks.pairs.rows() == [("exact", "dev", "d5", "train", "t42", True, 1.0)]
    assert leaks.copies_in_train.tolist() == [42]
    assert leaks.count("dev", "train") == leaks.count("dev", "train", "exact") == 1
    assert leaks.notes == ("1 example of dev is also in train (1 exact, 0 nearly identical).",)


def test_every_copy_in_train_is_listed_and_the_example_counted_once():
    train = np.concatenate([TRAIN, TRAIN[[7, 7]]])
    leaks = find_leaks({"train": pictures(train, "t"), "dev": pictures(TRAIN[[7]], "d")})
    assert leaks.count("dev", "train") == 1
    assert leaks.copies_in_train.tolist() == [7, 300, 301]


def test_a_copy_with_another_target_is_told_apart():
    leaks = find_leaks({"train": pictures(TRAIN, "t", "cat"), "dev": pictures(TRAIN[[3]], "d", "dog")})
    assert leaks.pairs["same_target"].to_list() == [False]
    assert leaks.notes == ("1 example of dev is also in train (1 exact, 0 nearly identical; 1 with another target).",)


def test_a_partner_of_the_same_class_is_preferred():
    train = pictures(TRAIN[[3, 3, 4]], "t", ["cat", "dog", "owl"])
    leaks = find_leaks({"train": train, "dev": pictures(TRAIN[[3]], "d", "dog")})
    assert leaks.pairs.filter(split="dev").select("other_id", "same_target").rows() == [("t1", True)]


def test_without_classes_it_is_not_known_whether_targets_agree():
    leaks = find_leaks({"train": pictures(TRAIN, "t", [None] * 300), "dev": pictures(TRAIN[[3]], "d", [None])})
    assert leaks.pairs["same_target"].to_list() == [None]


def test_the_same_inputs_with_two_targets_in_one_split_are_reported():
    train = pictures(TRAIN[[0, 1, 0, 0]], "t", ["cat", "cat", "dog", "cat"])
    leaks = find_leaks({"train": train})
    assert leaks.pairs.rows() == [("exact", "train", "t2", "train", "t0", False, 1.0)]
    assert leaks.notes == ("1 example of train with the same inputs as another one but a different target.",)


def shifted(array):
    return np.pad(array, ((0, 0), (0, 0), (2, 0)), mode="edge")[..., :-2]


def halved_and_back(array):
    small = array.reshape(len(array), 16, 2, 16, 2).mean(axis=(2, 4))
    return small.repeat(2, axis=1).repeat(2, axis=2)


ALTERATIONS = {
    "brighter": lambda array: (array * 1.2 + 20).clip(0, 255),
    "darker": lambda array: array * 0.5,
    "shifted": shifted,
    "smaller": halved_and_back,
    "noisy": lambda array: array + np.random.default_rng(0).normal(0, 4, array.shape),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_copy_is_found(name):
    copies = ALTERATIONS[name](TRAIN[:40]).astype(np.float32)
    leaks = find_leaks({"train": pictures(TRAIN, "t"), "test": pictures(np.concatenate([DEV, copies]), "x")})
    near = leaks.pairs.filter(kind="near")
    assert len(near) >= 38
    assert all(int(mine[1:]) - 100 == int(theirs[1:]) for mine, theirs in near.select("id", "other_id").rows())
    assert near["similarity"].min() >= 0.9
    assert leaks.copies_in_train.tolist() == sorted(int(theirs[1:]) for theirs in near["other_id"])


def test_the_sharp_picture_is_found_from_its_blurred_copy_in_train():
    train = np.concatenate([TRAIN[40:], halved_and_back(TRAIN[:40])])
    assert find_leaks({"train": pictures(train, "t"), "dev": pictures(TRAIN[:40], "d")}).count("dev", "train") >= 38


def test_a_picture_half_of_which_differs_is_not_a_copy():
    halves = np.concatenate([TRAIN[:40, :, :16], DEV[:40, :, 16:]], axis=2)
    assert find_leaks({"train": pictures(TRAIN, "t"), "dev": pictures(halves, "d")}).count("dev", "train") == 0


def test_an_exact_copy_is_not_counted_as_near_too():
    leaks = find_leaks({"train": pictures(TRAIN, "t"), "dev": pictures(TRAIN[:5], "d")})
    assert leaks.pairs["kind"].to_list() == ["exact"] * 5


def test_a_mirrored_picture_is_another_picture():
    leaks = find_leaks({"train": pictures(TRAIN, "t"), "dev": pictures(TRAIN[:40, :, ::-1], "d")})
    assert len(leaks.pairs) == 0


def test_pictures_of_one_colour_are_near_duplicates_of_nothing():
    flat = np.full((5, 32, 32), 7, dtype=np.float32)
    assert len(find_leaks({"train": pictures(TRAIN, "t"), "dev": pictures(flat, "d")}).pairs) == 0
    train = np.concatenate([TRAIN, flat + 1])
    assert len(find_leaks({"train": pictures(train, "t"), "dev": pictures(DEV, "d")}).pairs) == 0


def test_data_without_thumbnails_is_compared_only_exactly():
    train = pictures(TRAIN, "t", is_picture=False)
    dev = pictures(np.concatenate([TRAIN[:1], TRAIN[1:5] * 0.5]), "d", is_picture=False)
    assert find_leaks({"train": train, "dev": dev}).pairs["kind"].to_list() == ["exact"]


def test_pictures_with_few_pixels_are_compared_only_exactly():
    train, dev = scenes(300, seed=1, side=8), scenes(300, seed=1, side=8)[:9] * 0.5
    assert len(find_leaks({"train": pictures(train, "t"), "dev": pictures(dev, "d")}).pairs) == 0


def test_beyond_the_budget_a_sample_of_the_smaller_split_is_compared_with_a_note(monkeypatch):
    monkeypatch.setattr(leakage, "MOST_COMPARED", 300 * 10)
    leaks = find_leaks({"train": pictures(TRAIN, "t"), "dev": pictures(TRAIN[:40] * 0.5, "d")})
    assert leaks.count("dev", "train", "near") == 10
    assert leaks.notes[-1] == "Near-duplicates of dev in train: a sample of 10 of 40 examples of dev was compared."


def test_the_nearest_are_found_in_chunks_as_by_sorting():
    correlation = np.random.default_rng(0).normal(size=(4, 6000)).astype(np.float32)
    correlation[0, -3:] = 9  # in the last stretch, which is not whole
    found = leakage._nearest(correlation)
    for row, columns in zip(correlation, found, strict=True):
        assert set(columns) == set(np.argsort(-row)[:20])


def test_many_equal_rows_are_counted_once_each():
    number = 3_000
    rows = Pictures(np.zeros((number, 1)), ["a"] * number, is_picture=False)
    assert find_leaks({"train": rows, "dev": rows}).count("dev", "train") == number
