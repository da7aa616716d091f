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

from gnomon.core.example import Examples
from gnomon.core.task import Task
from gnomon.data.annotated import AnnotatedExamples
from gnomon.parts.masks import SegmentationHead, in_tiles
from gnomon.training import evaluate
from gnomon.training.evaluate import Member


def predict_masks_in_tiles(member: Member, examples: Examples) -> pl.DataFrame:
    """As `training.evaluate.predict`."""
    tables = [
        evaluate.predict(task, model, one, device=torch.device("cpu"))
        for task, model, one in _one_by_one(member, examples)
    ]
    return pl.concat(tables)


def _one_by_one(member: Member, examples: Examples) -> Iterator[tuple[Task, nn.Module, AnnotatedExamples]]:
    """Each picture, with the task at its own size and the model that looks at it in tiles."""
    pictures, task = cast(AnnotatedExamples, examples), member.task
    head, encoder = cast(SegmentationHead, task.head), cast(Any, task.encoder)
    model = in_tiles(member.model, encoder.channels)
    for position in range(len(pictures)):
        one = pictures.take(np.array([position]))
        height, width = (max(1, round(side * head.scale)) for side in one.sizes()[0].tolist())
        own = replace(task, encoder=replace(encoder, height=height, width=width),
                      head=replace(head, height=height, width=width))  # fmt: skip
        yield own, model, one
