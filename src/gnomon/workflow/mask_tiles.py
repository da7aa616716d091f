"""Large pictures for a segmenting net: at the scale of training, in tiles where one pass would take too much memory.

The answer is that of one pass over the whole picture: tiles overlap as far as a pixel sees (nn/tiles.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from torch import nn

from gnomon.checks.receptive_field import tracing
from gnomon.core.example import Examples
from gnomon.core.task import Task
from gnomon.data.annotated import AnnotatedExamples
from gnomon.nn.tiles import LEAST, SHARE, Tiled
from gnomon.parts.annotated import STEP
from gnomon.parts.masks import SegmentationHead
from gnomon.training import evaluate
from gnomon.training.evaluate import Member

PROBE = 2 * STEP  # pixels per side of the picture on which it is followed how far a pixel sees


def predict_masks_in_tiles(member: Member, examples: Examples) -> pl.DataFrame:
    """As `training.evaluate.predict`."""
    tables = [
        evaluate.predict(task, model, one, device=torch.device("cpu"))
        for task, model, one in _one_by_one(member, examples)
    ]
    return pl.concat(tables)


def evaluate_masks_in_tiles(member: Member, examples: Examples, *, split: str, source: str) -> Any:
    """As `training.evaluate.evaluate`: every picture whole, never a tile by itself."""
    found = [
        evaluate.evaluate(task, model, one, split=split, source=source, device=torch.device("cpu"))
        for task, model, one in _one_by_one(member, examples)
    ]
    table = pl.concat([each.table for each in found])
    return replace(found[0], table=table, split_error=member.task.judge.split_error(table))


def _one_by_one(member: Member, examples: Examples) -> Iterator[tuple[Task, nn.Module, AnnotatedExamples]]:
    """Each picture, with the task at its own size and the model that looks at it in tiles."""
    pictures, task = cast(AnnotatedExamples, examples), member.task
    head, encoder = cast(SegmentationHead, task.head), cast(Any, task.encoder)
    model = Tiled(member.model, reach(member.model, encoder.channels), STEP)
    for position in range(len(pictures)):
        one = pictures.take(np.array([position]))
        height, width = (max(1, round(side * head.scale)) for side in one.sizes()[0].tolist())
        own = replace(task, encoder=replace(encoder, height=height, width=width),
                      head=replace(head, height=height, width=width))  # fmt: skip
        yield own, model, one


def reach(model: nn.Module, channels: int) -> int:
    """How many pixels away from a pixel its answer depends on, by following every operation of a pass.

    A quarter of a tile for a net with an operation that is not followed: then the answers may show seams.
    """
    picture = torch.zeros(1, channels, PROBE, PROBE, dtype=torch.uint8)
    with evaluate.judging(model), tracing(picture) as field_of:
        field = field_of(model(picture))
    if field is None or field.stride != (1, 1):
        return LEAST // SHARE
    return max(0, -field.low[0], -field.low[1], *field.high)
