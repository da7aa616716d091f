"""The label audit of masks finds regions of the wrong class and loose outlines that were planted, and little else."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest

from gnomon.metrics import mask_table
from gnomon.strategy.mask_labels import LOOSE_OUTLINE, OTHER_CLASS, find_suspects

SIDE, SHARE = 96, 0.05
NAMES = ("ground", "cell", "core")


def discs(rng):
    """Cells in a picture: (row, column, radius, class)."""
    return [
        (*rng.uniform(10, SIDE - 10, 2), rng.uniform(5, 14), int(rng.integers(1, 3))) for _ in range(rng.integers(2, 6))
    ]


def drawn(objects, moved=0.0, grown=0.0, rng=None):
    """(H, W): each disc, its radius changed by `grown`, its outline wavy by `moved` pixels."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), np.int64)
    for row, column, radius, label in objects:
        angle = np.arctan2(rows - row, columns - column)
        waves = (
            0 if rng is None else sum(rng.normal(0, moved) * np.sin(k * angle + rng.uniform(0, 6)) for k in (1, 2, 3))
        )
        mask[np.hypot(rows - row, columns - column) <= radius + grown + waves] = label
    return mask


def planted(pictures, share, seed=0):
    """Of the discs `share` has another class and as many are left out; of the pictures `share` has loose outlines."""
    rng = np.random.default_rng(seed)
    targets, predictions, faults = [], [], []
    for picture in range(pictures):
        objects, labels = discs(rng), []
        for disc in objects:
            fault = rng.choice(["left out", "class", ""], p=[share, share, 1 - 2 * share])
            if fault:
                faults.append((picture, OTHER_CLASS, disc))
            if fault != "left out":
                labels.append((*disc[:3], 3 - disc[3]) if fault == "class" else disc)
        is_loose = rng.random() < share
        if is_loose:
            faults.append((picture, LOOSE_OUTLINE, None))
        targets.append(drawn(labels, grown=1.5 if is_loose else 0.0, moved=0.2, rng=rng))
        said = [disc for disc in objects if rng.random() > 0.02]
        said = [(*disc[:3], 3 - disc[3]) if rng.random() < 0.01 else disc for disc in said]
        predictions.append(drawn(said, moved=0.4, rng=rng))
    return table_of(targets, predictions), faults


def table_of(targets, predictions):
    return pl.DataFrame(
        {
            "id": [f"{place}.png" for place in range(len(targets))],
            "target": [mask_table.encode(one) for one in targets],
            "prediction": [mask_table.encode(one) for one in predictions],
            "class_names": [json.dumps(NAMES)] * len(targets),
        }
    )


def test_of_five_percent_planted_faults_of_each_kind():
    said, right, known = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(2):
        table, faults = planted(150, SHARE, seed)
        known.update(kind for _, kind, _ in faults)
        left = dict(enumerate(faults))
        for one in find_suspects(table):
            said[one.kind] += 1
            for place, (picture, kind, disc) in left.items():
                inside = disc is None or (one.box[0] <= disc[1] <= one.box[2] and one.box[1] <= disc[0] <= one.box[3])
                if (picture, kind) == (one.picture, one.kind) and inside:
                    right[one.kind] += 1
                    del left[place]
                    break
    print()
    for kind, least in ((OTHER_CLASS, 0.6), (LOOSE_OUTLINE, 0.6)):
        print(f"{kind}: {said[kind]} suspects, precision {right[kind] / said[kind]:.2f}, "
              f"recall {right[kind] / known[kind]:.2f} of {known[kind]}")  # fmt: skip
        assert right[kind] >= least * said[kind]
        assert right[kind] >= 0.6 * known[kind]


def test_masks_that_are_repeated_are_not_suspect_nor_is_what_the_model_is_not_sure_of():
    table, _ = planted(10, 0.3)
    assert find_suspects(table.with_columns(prediction=pl.col("target"))) == ()
    unsure = mask_table.encode(np.full((SIDE, SIDE), -1))
    assert find_suspects(table.with_columns(sure=pl.lit(unsure))) == ()
    assert find_suspects(table) != ()


@pytest.mark.parametrize("label", [1, 2])
def test_a_region_is_named_with_its_class_its_suggestion_and_its_place(label):
    target = np.zeros((SIDE, SIDE), np.int64)
    answer = target.copy()
    answer[20:40, 50:80] = label
    [one] = find_suspects(table_of([target], [answer]))
    assert (one.kind, one.given, one.suggested) == (OTHER_CLASS, 0, label)
    assert (one.box, one.pixels) == ((50, 20, 80, 40), 600)
