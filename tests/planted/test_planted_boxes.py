"""The label audit of boxes finds the faults that were planted in labels, and little else."""

from __future__ import annotations

import json
from collections import Counter

import polars as pl
import pytest

from gnomon.metrics import box_table
from gnomon.strategy.box_errors import pairwise_iou
from gnomon.strategy.box_labels import SUSPICIONS, find_suspects
from tests.samples.box_scenes import FAIR, GOOD, Detector, Planted, planted


def audited(made: Planted) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """By kind: suspects, suspects where such a fault was planted, planted faults."""
    table = box_table.read(made.table)
    said, right = Counter[str](), Counter[str]()
    left = dict(enumerate(made.faults))
    for one in find_suspects(table):
        said[one.kind] += 1
        box = table.predictions.boxes[one.answer]
        for place, fault in left.items():
            if fault[:2] == (one.picture, one.kind) and pairwise_iou(box[None], fault[2][None])[0, 0] >= 0.5:
                right[one.kind] += 1
                del left[place]
                break
    return said, right, Counter(kind for _, kind, *_ in made.faults)


@pytest.mark.parametrize(
    ("detector", "precision", "recall"),
    [
        (GOOD, {"missing label": 0.9, "wrong class": 0.6, "loose box": 0.75}, 0.65),
        (FAIR, {"missing label": 0.85, "wrong class": 0.4, "loose box": 0.8}, 0.55),
    ],
)
def test_of_five_percent_planted_faults_of_each_kind(detector: Detector, precision: dict[str, float], recall: float):
    said, right, faults = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(3):
        for total, one in zip((said, right, faults), audited(planted(300, 0.05, detector, seed)), strict=True):
            total.update(one)
    print()
    for kind in SUSPICIONS:
        print(f"{kind}: {said[kind]} suspects, precision {right[kind] / said[kind]:.2f}, "
              f"recall {right[kind] / faults[kind]:.2f} of {faults[kind]}")  # fmt: skip
        assert right[kind] >= precision[kind] * said[kind]
        assert right[kind] >= recall * faults[kind]


def test_of_clean_labels_few_are_suspect():
    made = planted(300, 0.0, GOOD)
    suspects, labels = find_suspects(box_table.read(made.table)), box_table.read(made.table).truths.label
    assert len(suspects) < 0.03 * len(labels)


def test_answers_that_repeat_the_labels_make_nothing_suspect():
    table = planted(40, 0.0, GOOD).table
    target = [json.loads(cell) for cell in table["target"]]
    said = [json.dumps([[*one[:5], 0.5 + 0.01 * place] for place, one in enumerate(labels)]) for labels in target]
    assert find_suspects(box_table.read(table.with_columns(pl.Series("prediction", said)))) == ()


def test_the_order_of_pictures_and_boxes_changes_no_suspect():
    table = planted(60, 0.05, FAIR).table
    turned = table.reverse().with_columns(
        pl.Series(name, [json.dumps(json.loads(cell)[::-1]) for cell in table[name].reverse()])
        for name in ("target", "prediction")
    )
    one, two = (
        sorted((len(table) - 1 - each.picture if is_turned else each.picture, each.kind, round(each.sureness, 9))
               for each in find_suspects(box_table.read(shown)))
        for shown, is_turned in ((table, False), (turned, True))
    )  # fmt: skip
    assert one == two
    assert one
