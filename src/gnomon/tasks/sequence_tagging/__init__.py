"""Sequence tagging: names and other spans in sentences, or a tag for each word."""

from __future__ import annotations

from typing import Any

from gnomon.core.task import Task, TaskKind
from gnomon.parts.tagged import TaggedEncoder, TaggedText, TagHead, TagJudge
from gnomon.training.samplers import by_length

MOST_EPOCHS, FEWEST_EPOCHS = 60, 8
ALL_EPOCHS = 300  # sentences up to which all of them are taken; then fewer by a power of their number
POWER = 1 / 3


def defaults(_task: Task, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` sentences: small batches, since most tokens say nothing of a span."""
    epochs = MOST_EPOCHS * (ALL_EPOCHS / max(num_train, 1)) ** POWER
    return {
        "optimiser.batch_size": 16,
        "stop.epochs": round(min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))),
    }


TASK = TaskKind(
    name="sequence_tagging",
    title="sequence tagging",
    modality="text",
    target="spans or tags",
    reader=TaggedText(),
    encoder=TaggedEncoder,
    head=TagHead,
    judge=TagJudge,
    model="lstm",
    defaults=defaults,
    sampler=by_length("length"),
)
