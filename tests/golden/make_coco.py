"""How coco.npz was made: the twelve numbers of pycocotools 2.0.11, and its AP per class, on three made-up sets.

pycocotools is not installed beside gnomon:

pip install pycocotools==2.0.11 numpy && python tests/golden/make_coco.py
"""

import contextlib
import io
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def made_up(seed, pictures, classes, per_picture, alarms, on_a_grid):
    """Truths and predictions; the last class has no truths, the one before no predictions."""
    rng = np.random.default_rng(seed)
    truths, predictions = [], []
    for picture in range(pictures):
        for _ in range(rng.integers(0, per_picture + 1)):
            label = int(rng.integers(classes - 1))
            side = np.exp(rng.uniform(np.log(8), np.log(200), 2))
            left = rng.uniform(0, 400, 2)
            box = np.r_[left, left + side]
            box = np.round(box / 10) * 10 + [0, 0, 10, 10] if on_a_grid else np.round(box, 1)
            area = float(np.prod(box[2:] - box[:2]) * rng.uniform(0.5, 1))
            truths.append([picture, label, *box, rng.random() < 0.1, area])
            for _ in range(rng.integers(0, 4)):
                moved = box + rng.normal(0, 0.1, 4) * np.r_[side, side]
                moved = np.round(moved / 10) * 10 if on_a_grid else np.round(moved, 1)
                if (moved[2:] > moved[:2]).all() and label != classes - 2:
                    said = label if rng.random() < 0.9 else 0
                    predictions.append([picture, said, *moved, np.round(rng.uniform(0.2, 1), 2)])
        for _ in range(rng.integers(0, alarms + 1)):
            left = np.round(rng.uniform(0, 400, 2))
            said = int(rng.choice([*range(classes - 2), classes - 1]))
            predictions.append(
                [picture, said, *left, *(left + rng.integers(5, 150, 2)), np.round(rng.random() * 0.8, 2)]
            )
    return np.array(truths, float), np.array(predictions, float)


def by_pycocotools(truths, predictions, pictures, classes):
    annotations = [
        {
            "id": i + 1, "image_id": int(row[0]) + 1, "category_id": int(row[1]) + 1, "iscrowd": int(row[6]),
            "bbox": [row[2], row[3], row[4] - row[2], row[5] - row[3]], "area": row[7],
        }
        for i, row in enumerate(truths)
    ]  # fmt: skip
    results = [
        {
            "image_id": int(row[0]) + 1, "category_id": int(row[1]) + 1, "score": row[6],
            "bbox": [row[2], row[3], row[4] - row[2], row[5] - row[3]],
        }
        for row in predictions
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i + 1} for i in range(pictures)],
            "categories": [{"id": k + 1} for k in range(classes)],
            "annotations": annotations,
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    table = judge.eval["precision"][:, :, :, 0, 2]  # (thresholds, recalls, classes)
    return judge.stats, table.mean(axis=(0, 1))


SETS = {  # seed, pictures, classes, most truths per picture, most false alarms, whether on a grid of 10 pixels
    "plain": (0, 40, 5, 6, 8, False),
    "ties": (1, 40, 4, 10, 10, True),  # equal IoUs and scores, IoUs equal to thresholds
    "crowded": (2, 3, 3, 60, 250, False),  # more than 100 predictions per class
}

if __name__ == "__main__":
    made = {}
    for name, (seed, pictures, classes, *rest) in SETS.items():
        truths, predictions = made_up(seed, pictures, classes, *rest)
        numbers, per_class = by_pycocotools(truths, predictions, pictures, classes)
        made |= {f"{name} truths": truths, f"{name} predictions": predictions, f"{name} size": [pictures, classes]}
        made |= {f"{name} numbers": numbers, f"{name} per class": per_class}
        print(name, len(truths), len(predictions), np.round(numbers, 4), np.round(per_class, 4))
    np.savez_compressed(Path(__file__).with_name("coco.npz"), **made)
