"""Pairs: which are judged, in large sets too; and that what they share is encoded once."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from gnomon.core.errors import DataError
from gnomon.core.example import index_frame
from gnomon.data.columns import Shared, concatenate, gather, take
from gnomon.data.images.examples import ImageExamples
from gnomon.data.images.stores import ArrayStore
from gnomon.data.images.whites import Whites
from gnomon.data.pairs import PAIRED, Pairs, beside_each_other, in_pairs, pairs_to_judge
from gnomon.metrics import identity_table


def people(counts: list[int], seed: int = 0) -> ImageExamples:
    names = [f"p{i}" for i, count in enumerate(counts) for _ in range(count)]
    pixels = np.random.default_rng(seed).integers(0, 256, (len(names), 4, 4), dtype=np.uint8)
    index = index_frame([f"{name}/{i}" for i, name in enumerate(names)], group=names)
    return ImageExamples.of(ArrayStore(pixels, pixels, Whites()), np.arange(len(names)), index)


def test_a_small_set_is_judged_on_all_its_pairs():
    pairs = pairs_to_judge(people([3, 2, 4]), seed=1)
    assert len(pairs) == 9 * 8 / 2
    assert pairs.same.sum() == 3 + 1 + 6
    assert len(set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))) == 36


def test_a_large_set_is_judged_on_as_many_pairs_of_each_kind_as_asked_for_the_same_for_a_seed():
    many = people([7] * 60)
    pairs = pairs_to_judge(many, seed=1, most_same=200, most_different=300)
    assert (int(pairs.same.sum()), len(pairs)) == (200, 500)
    again = pairs_to_judge(many, seed=1, most_same=200, most_different=300)
    assert (pairs.left == again.left).all()
    other = pairs_to_judge(many, seed=2, most_same=200, most_different=300)
    assert not (pairs.left == other.left).all()
    assert (pairs.left != pairs.right).all()
    assert len(set(map(frozenset, zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)))) == 500


@pytest.mark.parametrize("counts", [[5], [1, 1, 1]])
def test_a_split_without_pairs_of_both_kinds_says_what_it_needs(counts):
    with pytest.raises(DataError, match="at least two identities with two examples each"):
        pairs_to_judge(people(counts), seed=1)


def test_an_example_in_many_pairs_is_encoded_once():
    pairs = pairs_to_judge(people([3, 2]), seed=1)
    asked = []

    def encode(examples):
        asked.append(len(examples))
        return {"image": torch.from_numpy(examples.pixels(4, 4, 1))}

    columns = in_pairs(pairs, encode)
    assert asked == [5]
    batch = gather(columns, torch.tensor([0, 7]))
    for row, position in enumerate((0, 7)):
        for side, members in enumerate((pairs.left, pairs.right)):
            expected = pairs.members.take(members[[position]]).pixels(4, 4, 1)[0]
            np.testing.assert_array_equal(batch["image"][row, side], expected)
    assert batch[PAIRED].shape == (2, 2)
    both = concatenate([columns, columns])
    np.testing.assert_array_equal(gather(both, torch.tensor([10]))["image"][0], batch["image"][0])
    some = take(columns, np.array([7]))
    assert isinstance(some["image"], Shared)
    np.testing.assert_array_equal(gather(some, torch.tensor([0]))["image"][0], batch["image"][1])


def test_pairs_of_two_sets_are_joined_as_they_were():
    one, two = pairs_to_judge(people([3, 2]), seed=1), pairs_to_judge(people([2, 2], seed=5), seed=1)
    both = one.join(two)
    assert both.index["id"].to_list() == one.index["id"].to_list() + two.index["id"].to_list()
    np.testing.assert_array_equal(both.fingerprints(), np.r_[one.fingerprints(), two.fingerprints()])


def test_ids_of_a_table_of_pairs_are_told_apart_even_with_the_sign_in_them():
    index = index_frame(["a + b", "c", "a"], group=["x", "x", "y"])
    black = np.zeros((3, 2, 2), np.uint8)
    members = ImageExamples.of(ArrayStore(black, black, Whites()), np.arange(3), index)
    pairs = Pairs(members, np.array([0, 0, 1]), np.array([1, 2, 2]))
    codes, examples = pairs.codes(), pairs.example_codes()
    table = pl.DataFrame({
        "id": pairs.index["id"], "group": pairs.index["group"], "person": codes[:, 0], "other_person": codes[:, 1],
        "picture": examples[:, 0], "other_picture": examples[:, 1], "distance": [1.0, 2, 3], "threshold": [2.0] * 3,
    })  # fmt: skip
    read = identity_table.read(table)
    named = [tuple(read.names[i] for i in pair) for pair in read.pairs]
    assert named == [("a + b", "c"), ("a + b", "a"), ("c", "a")]
    assert [read.people[read.person_of[pair[0]]] for pair in read.pairs] == ["x", "x", "x"]
    assert read.is_same.tolist() == [True, False, False]


def test_pictures_of_different_sizes_stand_beside_each_other():
    whole = beside_each_other([np.full((2, 3), 9, np.uint8), np.full((4, 1, 3), 7, np.uint8)])
    assert whole.shape == (4, 4, 3)
    assert (whole[:2, :3] == 9).all()
    assert (whole[2:, :3] == 0).all()
    assert (whole[:, 3] == 7).all()
