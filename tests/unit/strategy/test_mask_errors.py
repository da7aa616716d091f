"""Kinds of wrong pixels and what repairing each leaves: by pencil, and whatever the masks."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.metrics import mask_table
from gnomon.strategy import mask_errors, mask_tags
from gnomon.strategy.error_analysis import Errors, shares_of_errors
from gnomon.strategy.mask_errors import BOUNDARY, CONFUSION, KINDS, SMALL_REGION

few = settings(max_examples=30, deadline=None)


def masks(*pairs, names=("ground", "cell", "core")):
    return pl.DataFrame(
        {
            "id": [f"{place}.png" for place in range(len(pairs))],
            "target": [mask_table.encode(target) for target, _ in pairs],
            "prediction": [mask_table.encode(prediction) for _, prediction in pairs],
            "class_names": [json.dumps(names)] * len(pairs),
        }
    )


def square(left, right, label=1, side=100):
    mask = np.zeros((side, side), np.int64)
    mask[left:right, left:right] = label
    return mask


def counted(target, prediction):
    kinds = mask_errors.kinds_of(target, prediction)
    return {kind: int((kinds == place).sum()) for place, kind in enumerate(KINDS) if (kinds == place).any()}


def test_an_outline_that_is_one_pixel_off_is_boundary():
    assert counted(square(20, 60), square(19, 61)) == {BOUNDARY: 42**2 - 40**2}


def test_an_object_that_is_called_another_class_is_class_confusion():
    assert counted(square(20, 60), square(20, 60, label=2)) == {CONFUSION: 40**2}


def test_an_object_that_is_missed_altogether_is_a_small_region_or_confusion_by_its_size():
    # 4 pixels are below 5 % of 100
    assert counted(square(20, 24), square(0, 0)) == {SMALL_REGION: 16}
    assert counted(square(0, 0), square(20, 24)) == {SMALL_REGION: 16}
    assert counted(square(20, 60), square(0, 0)) == {CONFUSION: 40**2}
    assert counted(square(0, 0), square(20, 60)) == {CONFUSION: 40**2}


def test_pixels_that_are_not_judged_have_no_kind():
    target = square(20, 60)
    target[:30] = mask_table.NOT_JUDGED
    kinds = mask_errors.kinds_of(target, square(0, 0))
    assert (kinds[:30] == -1).all()
    assert (kinds >= 0).sum() == 30 * 40


def test_what_is_left_without_a_kind_is_computed_from_its_pixels():
    # 16 of 10,000 pixels are missed, 1,600 called another class. By pencil, without the confusion: IoU of the ground
    # 8384 / 8400, of cells 1600 / 1616, and no core is there or predicted.
    target, prediction = square(20, 60), square(20, 60, label=2)
    target[80:84, 80:84] = 1
    found = mask_errors.find_errors(masks((target, prediction)))
    left = found.errors_without_kinds()
    assert found.error == pytest.approx(1 - (8384 / 8400 + 0 + 0) / 3)
    assert left[CONFUSION] == pytest.approx(1 - (8384 / 8400 + 1600 / 1616) / 2)
    assert left[SMALL_REGION] == pytest.approx(1 - (1 + 16 / 1616 + 0) / 3)  # 16 of 1,616 cell pixels are right then


def test_tags_say_which_classes_are_confused_and_what_each_kind_could_remove():
    target, prediction = square(20, 60), square(20, 60, label=2)
    found = mask_errors.find_errors(masks((target, prediction), (target, target)))
    tags = {tag.name: tag for tag in mask_tags.from_masks(found)}
    assert list(tags) == [CONFUSION, "cell as core"]
    assert tags[CONFUSION].tagged.tolist() == tags["cell as core"].tagged.tolist() == [True, False]
    errors = Errors(np.array([0.6, 0.0]), 2.0, found.error)
    [first, second] = shares_of_errors(errors, tags.values())
    assert (first.tagged, first.reviewed, first.what) == (1600, 1600, "wrong pixels")
    assert first.left.value == second.left.value == pytest.approx(0)


@st.composite
def tables(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pairs = []
    for _ in range(draw(st.integers(1, 3))):
        height, width = rng.integers(5, 40, 2)
        coarse = rng.integers(0, 3, (5, 5))
        target = np.kron(coarse, np.ones((8, 8), int))[:height, :width]
        prediction = np.roll(target, rng.integers(0, 3), axis=int(rng.integers(0, 2)))
        is_changed = rng.random(target.shape) < draw(st.sampled_from([0.0, 0.05, 0.5]))
        prediction = np.where(is_changed, rng.integers(0, 3, target.shape), prediction)
        pairs.append((np.where(rng.random(target.shape) < 0.05, -1, target), prediction))
    return pairs


@few
@given(tables())
def test_the_kinds_of_wrong_pixels_partition_them_and_no_repair_adds_an_error(pairs):
    found = mask_errors.find_errors(masks(*pairs))
    wrong = found.counts * (1 - np.eye(3, dtype=int))
    np.testing.assert_array_equal(found.wrong.sum(axis=0), wrong)
    assert found.error_without(wrong.sum(axis=0)) == pytest.approx(0)
    assert all(one <= found.error + 1e-12 for one in found.errors_without_kinds().values())


@few
@given(tables())
def test_turning_the_pictures_and_their_order_changes_no_count(pairs):
    one = mask_errors.find_errors(masks(*pairs))
    two = mask_errors.find_errors(masks(*((target.T, said.T) for target, said in reversed(pairs))))
    np.testing.assert_array_equal(one.by_kind(), two.by_kind()[:, ::-1])


def test_of_too_many_pixels_a_part_of_the_pictures_is_looked_at_and_all_are_counted():
    pairs = [(square(20, 60), square(21, 60))] * 40
    found = mask_errors.find_errors(masks(*pairs), most_pixels=100_000)
    assert found.is_looked.sum() == 10
    assert found.num_wrong == 40 * (40**2 - 39**2)
    assert found.errors_without_kinds()[BOUNDARY] == pytest.approx(0)
    [tag, *_] = mask_tags.from_masks(found)
    assert (tag.inside.reviewed, tag.inside.errors) == (10 * 79, 40 * 79)
    assert tag.reviewed.sum() == 10


def test_a_kind_without_pictures_is_no_tag_and_perfect_masks_have_none():
    assert mask_tags.from_masks(mask_errors.find_errors(masks((square(20, 60), square(20, 60))))) == []
