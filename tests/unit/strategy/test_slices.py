"""Errors by class and by tag: worst first, with intervals and shares of all errors."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.intervals import wilson
from gnomon.strategy.slices import by_class, by_tag, missed_classes


def example(**columns) -> Evaluation:
    table = pl.DataFrame(
        {
            "id": [str(i) for i in range(110)],
            "target": ["cat"] * 50 + ["dog"] * 50 + ["eel"] * 10,
            "error": [1.0] * 20 + [0.0] * 30 + [1.0] * 5 + [0.0] * 45 + [0.0] * 10,
            "weight": [1.0] * 110,
            **columns,
        }
    )
    return Evaluation("dev", SHARE, table)


def test_classes_come_worst_first_with_wilson_and_shares():
    cat, dog, eel = by_class(example())
    assert (cat.value, dog.value, eel.value) == ("cat", "dog", "eel")
    assert cat.error == wilson(20, 50)
    assert (cat.examples, cat.share_of_examples, cat.share_of_errors) == (50, pytest.approx(50 / 110), 0.8)
    assert eel.share_of_errors == 0


def test_one_wrong_example_does_not_lead_the_list():
    found = by_class(
        example(
            target=["cat"] * 50 + ["dog"] * 49 + ["rare"] + ["eel"] * 10,
            error=[1.0] * 20 + [0.0] * 79 + [1.0] + [0.0] * 10,
        )
    )
    assert [one.value for one in found[:2]] == ["cat", "rare"]
    assert found[1].error.value == 1.0


def test_tags_leave_out_examples_without_them():
    found = by_tag(example(**{"tag.camera": ["phone"] * 30 + ["web"] * 30 + [None] * 50}))
    assert set(found) == {"tag.camera"}
    phone, web = found["tag.camera"]
    assert (phone.value, phone.error.value, web.error.value) == ("phone", 20 / 30, 5 / 30)
    assert phone.share_of_errors == pytest.approx(20 / 25)


def test_shares_are_by_weight_and_unscored_examples_are_left_out():
    found = by_class(example(weight=[10.0] * 20 + [1.0] * 80 + [0.0] * 10))
    assert [one.value for one in found] == ["cat", "dog"]
    assert found[0].share_of_errors == pytest.approx(200 / 205)
    assert found[0].error.value == pytest.approx(200 / 230)


def test_numeric_targets_make_no_classes_and_ids_make_no_slices():
    assert by_class(example(target=[0.5 * i for i in range(110)])) == ()
    many = pl.DataFrame(
        {
            "id": [str(i) for i in range(1500)],
            "target": [f"t{i}" for i in range(1500)],
            "error": [0.0] * 1500,
            "weight": [1.0] * 1500,
        }
    )
    assert by_class(Evaluation("dev", SHARE, many)) == ()


def test_a_slice_of_a_whole_split_metric_has_the_mean_of_its_rows():
    found = by_class(Evaluation("dev", SHARE, example().table, split_error=lambda counts: 0.99))
    assert found[0].error.value == 0.4


def test_other_units_get_a_bootstrap():
    found = by_class(Evaluation("dev", "m", example().table))
    assert "bootstrap" in found[0].error.method


def test_classes_that_are_wholly_wrong_are_named_the_largest_first():
    targets = ["cat"] * 50 + ["dog"] * 50 + ["rare"] * 7 + ["odd"] * 3
    errors = [1.0] * 49 + [0.0] + [0.0] * 50 + [1.0] * 10  # one cat of fifty is right
    said = missed_classes(example(target=targets, error=errors))
    assert said == "2 classes are never predicted right on dev: rare (0 of 7), odd (0 of 3)"
    assert missed_classes(example()) == ""


def test_of_many_such_classes_the_largest_are_named():
    targets = ["cat"] * 65 + [f"c{i}" for i in range(9) for _ in range(5)]
    said = missed_classes(example(target=targets, error=[0.0] * 65 + [1.0] * 45))
    assert said.startswith("9 classes are")
    assert said.endswith("c5 (0 of 5) and 3 more")
