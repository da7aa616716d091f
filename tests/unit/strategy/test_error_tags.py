"""Tags the machine sets: each on a split in which the answer was planted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.strategy import error_tags
from gnomon.strategy.error_tags import measure_picture


def table(rows: list[tuple[str, str, float]], **more) -> pl.DataFrame:
    """(target, prediction, confidence) a row."""
    targets, predictions, sure = (list(column) for column in zip(*rows, strict=True))
    return pl.DataFrame(
        {"id": [str(i) for i in range(len(rows))], "target": targets, "prediction": predictions,
         "error": [float(t != p) for t, p in zip(targets, predictions, strict=True)], "weight": [1.0] * len(rows),
         "confidence": sure, **more}
    )  # fmt: skip


def found(rows, **more):
    evaluation = Evaluation("dev", SHARE, table(rows, **more))
    return {tag.name: np.flatnonzero(tag.tagged).tolist() for tag in error_tags.from_predictions(evaluation)}


ROWS = [("cat", "dog", 0.95), ("cat", "dog", 0.6), ("dog", "cat", 0.7), ("dog", "dog", 0.97), ("cat", "cat", 0.8)]


def test_pairs_seen_twice_are_tags_and_chance_ones_are_not():
    assert found(ROWS)["cat predicted as dog"] == [0, 1]
    assert "dog predicted as cat" not in found(ROWS)


def test_only_wrong_answers_are_confident_mistakes():
    assert found(ROWS)["confident mistake"] == [0]


def test_a_toss_up_is_where_the_two_likeliest_are_close():
    more = {"p.cat": [0.05, 0.52, 0.7, 0.03, 0.8], "p.dog": [0.95, 0.48, 0.3, 0.97, 0.2]}
    assert found(ROWS, **more)["near the boundary"] == [1]


def test_slices_with_errors_are_tags():
    more = {"tag.camera": ["phone", "phone", "web", "web", None]}
    assert found(ROWS, **more)["camera: phone"] == [0, 1]


def test_a_class_far_below_an_even_share_is_rare():
    evaluation = Evaluation("dev", SHARE, table(ROWS))
    tags = error_tags.from_predictions(evaluation, {"cat": 900, "dog": 100})
    assert next(tag for tag in tags if tag.name == "rare class").tagged.tolist() == [False, False, True, True, False]


def test_numbers_have_direction_and_size():
    target = np.arange(12.0)
    prediction = target + np.array([1] * 6 + [-1] * 5 + [-9])
    frame = pl.DataFrame({"id": range(12), "target": target, "prediction": prediction, "weight": [1.0] * 12,
                          "confidence": [None] * 12, "error": np.abs(prediction - target)})  # fmt: skip
    evaluation = Evaluation("dev", "mm", frame)
    tags = {tag.name: np.flatnonzero(tag.tagged).tolist() for tag in error_tags.from_predictions(evaluation)}
    assert tags["far off"] == [11]
    assert tags["answer too high"] == [0, 1, 2, 3, 4, 5]
    assert tags["answer too low"] == [6, 7, 8, 9, 10, 11]


def test_copies_with_another_label_are_found_on_both_sides_of_a_pair():
    pairs = pl.DataFrame({"kind": ["exact"] * 3, "split": ["dev", "test", "dev"], "id": ["0", "x", "2"],
                          "other_split": ["train", "dev", "train"], "other_id": ["t", "1", "u"],
                          "same_target": [False, False, True], "similarity": [1.0] * 3})  # fmt: skip
    tags = {tag.name: np.flatnonzero(tag.tagged).tolist() for tag in error_tags.from_copies(table(ROWS), "dev", pairs)}
    assert tags == {"copy with another label": [0, 1], "copy of a training example": [0, 2]}


def test_dark_blurred_and_small_pictures_are_tagged_and_ordinary_ones_not():
    rng = np.random.default_rng(0)
    usual = [rng.integers(60, 200, (32, 32), dtype=np.uint8) for _ in range(100)]
    dark = (usual[0] * 0.1).astype(np.uint8)
    smooth = np.add.outer(np.arange(32) * 4, np.zeros(32)).astype(np.uint8) + 60
    small = rng.integers(60, 200, (8, 8), dtype=np.uint8)
    shown = [dark, smooth, small, usual[5]]
    tags = {
        tag.name: np.flatnonzero(tag.tagged).tolist()
        for tag in error_tags.from_pictures(
            table(ROWS), np.array([0, 1, 2, 4]), [measure_picture(one) for one in shown],
            [measure_picture(one) for one in usual], np.array([False, False, False, True]),
        )
    }  # fmt: skip
    assert 0 in tags["dark picture"]
    assert 1 in tags["blurred picture"]
    assert 0 not in tags["blurred picture"]
    assert tags["small picture"] == [2]
    assert "rotated picture" not in tags  # only the last one, which is right, is


def test_a_blurred_copy_is_less_sharp_and_a_darker_one_is_not():
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (40, 40)).astype(float)
    blurred = sum(np.roll(picture, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    sharp, soft, dim = (measure_picture(one.astype(np.uint8)).sharpness for one in (picture, blurred, picture * 0.5))
    assert soft < 0.5 * sharp
    assert dim == pytest.approx(sharp, rel=0.05)


def test_the_measures_of_a_flat_picture_are_those_of_its_grey():
    found = measure_picture(np.full((10, 20, 3), 100, dtype=np.uint8))
    assert (found.brightness, found.contrast, found.sharpness, found.pixels) == (
        pytest.approx(100),
        pytest.approx(0, abs=1e-9),
        0.0,
        200,
    )


def test_missing_rare_and_outlying_rows_are_tagged_and_ordinary_ones_not():
    rng = np.random.default_rng(0)
    usual = [{"size": float(x), "city": ("Rome", "Oslo")[i % 2]} for i, x in enumerate(rng.normal(10, 1, 400))]
    rows = [{"size": None, "city": "Rome"}, {"size": 40.0, "city": "Rome"}, {"size": 10.0, "city": "Lima"},
            {"size": 10.5, "city": "Oslo"}]  # fmt: skip
    tags = {tag.name: np.flatnonzero(tag.tagged).tolist()
            for tag in error_tags.from_rows(table(ROWS), np.array([0, 1, 2, 4]), rows, usual)}  # fmt: skip
    assert tags["missing values"] == [0]
    assert tags["outlier row"] == [1]
    assert tags["rare category"] == [2]


def test_a_row_nobody_reviewed_has_unknown_tags():
    usual = [{"size": float(x)} for x in range(100)]
    (tag,) = error_tags.from_rows(table(ROWS), np.array([0]), [{"size": None}], usual)
    assert tag.reviewed.tolist() == [True, False, False, False, False]


def test_a_column_of_unique_names_has_no_rare_categories():
    usual = [{"name": f"n{i}"} for i in range(300)]
    assert error_tags.from_rows(table(ROWS), np.array([0]), [{"name": "new"}], usual) == []


def test_a_cluster_of_errors_is_found_and_evenly_spread_errors_are_not():
    rng = np.random.default_rng(3)
    group = np.arange(400) % 4 == 0  # a quarter of the examples, far from the others in the model's eyes
    points = rng.normal(size=(400, 6)) + np.outer(group, [6, -6, 6, 0, 0, 0])
    errs = np.where(group, rng.random(400) < 0.5, rng.random(400) < 0.03)
    frame = table(
        [
            ("dog" if g else "cat", "fox" if e else ("dog" if g else "cat"), 0.9)
            for g, e in zip(group, errs, strict=True)
        ]
    )
    tags = error_tags.from_embedding(frame, np.arange(400), points)
    assert np.logical_or.reduce([tag.tagged for tag in tags])[group].mean() > 0.9
    assert not np.logical_or.reduce([tag.tagged for tag in tags])[~group].mean() > 0.1
    assert "mostly dog" in tags[0].name
    even = frame.with_columns(error=pl.Series((rng.random(400) < 0.15).astype(float)))
    assert error_tags.from_embedding(even, np.arange(400), points) == []
