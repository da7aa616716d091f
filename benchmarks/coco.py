"""The twelve COCO numbers beside pycocotools: `python -m benchmarks.coco [--pictures 5000]` or `... --run RUN`.

Made-up pictures: on average 7 objects of 80 classes and 25 predictions each; or what a run has predicted for train and
dev. From arrays in memory to the numbers, one thread; reading files is not measured. pycocotools is to be installed
(`pip install pycocotools`).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time

import numpy as np

import gnomon
from gnomon.metrics.box_table import read
from gnomon.metrics.detection import coco
from gnomon.metrics.matching import Predictions, Truths, match_as_coco, predictions, truths

CLASSES = 80


def made_up(pictures: int) -> tuple[Truths, Predictions]:
    rng = np.random.default_rng(0)
    picture = np.repeat(np.arange(pictures), rng.poisson(7, pictures))
    label = rng.integers(0, CLASSES, len(picture))
    corner, side = rng.uniform(0, 400, (len(picture), 2)), np.exp(rng.uniform(2.5, 5.5, (len(picture), 2)))
    boxes = np.concatenate([corner, corner + side], 1)
    drawn = truths(picture, label, boxes, is_crowd=rng.random(len(picture)) < 0.02)
    near = np.repeat(np.arange(len(picture)), rng.poisson(1.5, len(picture)))
    moved = boxes[near] + rng.normal(0, 0.08, (len(near), 4)) * np.tile(side[near], 2)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    far = rng.integers(0, pictures, 15 * pictures)
    corner = rng.uniform(0, 400, (len(far), 2))
    anywhere = np.concatenate([corner, corner + rng.uniform(5, 200, (len(far), 2))], 1)
    said = predictions(
        np.r_[picture[near], far],
        np.r_[label[near], rng.integers(0, CLASSES, len(far))],
        np.r_[moved, anywhere],
        np.r_[rng.uniform(0.2, 1, len(near)), 0.8 * rng.random(len(far))],
    )
    return drawn, said


def by_pycocotools(drawn: Truths, said: Predictions, pictures: int, classes: int) -> tuple[np.ndarray, float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rows(one: Truths | Predictions) -> list[dict]:
        sides = np.c_[one.boxes[:, :2], one.boxes[:, 2:] - one.boxes[:, :2]].tolist()
        columns = zip(one.picture.tolist(), one.label.tolist(), sides, strict=True)
        return [{"image_id": p + 1, "category_id": k + 1, "bbox": box} for p, k, box in columns]

    annotations = rows(drawn)
    for i, (row, is_crowd, area) in enumerate(zip(annotations, drawn.is_crowd, drawn.area, strict=True)):
        row |= {"id": i + 1, "iscrowd": int(is_crowd), "area": float(area)}
    results = [row | {"score": score} for row, score in zip(rows(said), said.scores.tolist(), strict=True)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i + 1} for i in range(pictures)],
            "categories": [{"id": k + 1} for k in range(classes)],
            "annotations": annotations,
        }
        truth.createIndex()
        found = truth.loadRes(results)
        began = time.perf_counter()
        judge = COCOeval(truth, found, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--run", help="a run of detection: its predictions for train and dev instead of made-up ones")
    given = parser.parse_args()
    if given.run is None:
        compare(*made_up(given.pictures), given.pictures, CLASSES)
        return
    for split in ("train", "dev"):
        found = read(gnomon.load(given.run).evaluation(split).table)
        compare(found.truths, found.predictions, found.num_pictures, len(found.class_names))


def compare(drawn: Truths, said: Predictions, pictures: int, classes: int) -> None:
    began = time.perf_counter()
    found = coco(match_as_coco(drawn, said, num_pictures=pictures, num_classes=classes))
    ours = time.perf_counter() - began
    wanted, theirs = by_pycocotools(drawn, said, pictures, classes)
    apart = np.abs(np.nan_to_num(list(found.values()), nan=-1) - wanted).max()
    sys.stdout.write(
        f"{pictures:,} pictures, {len(drawn.label):,} objects, {len(said.label):,} predictions: "
        f"pycocotools {theirs:.2f} s, gnomon {ours:.2f} s, {theirs / ours:.1f} times as fast; "
        f"largest difference {apart:.1g}\n"
    )


if __name__ == "__main__":
    main()
