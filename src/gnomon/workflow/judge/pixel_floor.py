"""The floor under a ladder of masks: what trees make of the colour of each pixel alone, and what no effort makes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import cast

import numpy as np
import polars as pl
from torch import Tensor

from gnomon.core.evaluation import Evaluation
from gnomon.core.seeds import generator
from gnomon.data.annotated import AnnotatedExamples
from gnomon.metrics import segmentation
from gnomon.metrics.intervals import measure
from gnomon.nn.pixel_losses import NOT_SCORED
from gnomon.strategy.floor import Floor, Reference
from gnomon.strategy.paired import paired_test
from gnomon.strategy.references import MOST_ROWS, Inputs, boosted_trees, guess, sampled
from gnomon.training.evaluate import encode_whole
from gnomon.training.threads import using
from gnomon.workflow.road.judge import Measured

MOST_PICTURES = 200  # of train whose pixels are drawn from, and of dev that are compared
MOST_PIXELS = 4_000_000  # of dev that are answered: a few seconds
TREES = "boosted trees on the colour of each pixel"


def measure_pixel_floor(found: Measured) -> Floor | None:
    """Both references on dev, as large as the model sees pictures; None where a sample of train has one class only."""
    began, seed = time.monotonic(), found.session.settings.seed
    rng, dev = generator(seed, "floor"), found.evaluations["dev"]
    train, asked = (
        cast(AnnotatedExamples, one) for one in (found.session.prepared.splits["train"], found.examples["dev"])
    )
    colours, classes = _pixels(found, train.take(sampled(len(train), MOST_PICTURES, rng)))
    known = np.flatnonzero(classes.ravel() != NOT_SCORED)
    known = known[sampled(len(known), MOST_ROWS, rng)]
    inputs, targets = _inputs(colours.reshape(-1, colours.shape[-1])[known]), classes.ravel()[known]
    num_classes = len(json.loads(dev.table["confusion"][0]))
    some = sampled(len(asked), max(1, min(MOST_PICTURES, MOST_PIXELS // classes[0].size)), rng)
    colours, truth = _pixels(found, asked.take(some))
    unique, place = np.unique(colours.reshape(-1, colours.shape[-1]), axis=0, return_inverse=True)
    with using(found.session.settings.machine.threads):
        trees = boosted_trees(inputs, targets, _inputs(unique), num_classes)
    if trees is None:
        return None
    commonest = int(guess(targets, num_classes))
    name = json.loads(dev.table["class_names"][0])[commonest]
    said = {f"always {name!r}": np.full(truth.shape, commonest), TREES: trees.values[place].reshape(truth.shape)}
    system = _evaluation(found, dev.table[some.tolist()])
    first, second = (
        _reference(found, system, name, _confusions(truth, values, num_classes), seed) for name, values in said.items()
    )
    return Floor(first, (second,), time.monotonic() - began)


def _pixels(found: Measured, examples: AnnotatedExamples) -> tuple[np.ndarray, np.ndarray]:
    """Colours (N, H, W, C) uint8 and classes (N, H, W) as the model sees them, -1 where nothing is judged."""
    columns = encode_whole(found.task, examples)
    image, mask = cast(Tensor, columns["image"]), cast(Tensor, columns["mask"])
    return image.cpu().numpy(), mask.cpu().numpy().astype(np.int64)


def _inputs(colours: np.ndarray) -> Inputs:
    return Inputs(colours.astype(np.float32) / 255, np.empty((len(colours), 0), np.int64))


def _confusions(truth: np.ndarray, said: np.ndarray, num_classes: int) -> np.ndarray:
    """(N, K, K) of N pictures."""
    pairs = zip(truth, said, strict=True)
    return np.stack([segmentation.confusion(one, other, num_classes, ignore=NOT_SCORED) for one, other in pairs])


def _evaluation(found: Measured, table: pl.DataFrame) -> Evaluation:
    dev = found.evaluations["dev"]
    return replace(dev, table=table, split_error=found.task.judge.split_error(table))


def _reference(found: Measured, system: Evaluation, name: str, counts: np.ndarray, seed: int) -> Reference:
    """What a reference answers, judged as the system's answers are."""
    errors = np.nan_to_num(1 - segmentation.mean_iou(counts), nan=0.0)
    table = system.table.with_columns(
        error=pl.Series(errors), confusion=pl.Series([json.dumps(one.tolist()) for one in counts])
    )
    evaluation = _evaluation(found, table)
    error, test = measure(evaluation, seed=seed).interval, paired_test(system, evaluation, seed=seed)
    ahead = test.difference
    return Reference(name, error.value, error.low, error.high, ahead.value, ahead.low, ahead.high, test.p_value)
