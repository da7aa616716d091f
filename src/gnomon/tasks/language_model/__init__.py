"""Language model: the next character or word of a text, given those before it."""

from collections.abc import Mapping
from typing import Any, cast

from gnomon.core.task import Task, TaskKind
from gnomon.parts.next_token import NextTokenHead, NextTokenJudge
from gnomon.parts.text import RunningText, TextEncoder
from gnomon.training.samplers import by_length

MUCH = 300_000  # pieces of a running text that a wide net pays for
READ = 24_000_000  # pieces that it reads in its training: of a million, 24 times


def recipe(task: Task, model: str, num_train: int) -> Mapping[str, Any]:
    """For a long running text, one wide recurrent layer: a second one costs as much time as a second pass."""
    encoder = cast(TextEncoder, task.encoder)
    pieces = num_train * encoder.length
    if encoder.each != "window" or pieces < MUCH or model not in ("lstm", "gru"):
        return {}
    return {
        "model.units": 512,
        "model.layers": 1,
        "regularise.dropout": (0.4,),
        "optimiser.learning_rate": 3e-3,
        "stop.epochs": round(min(60.0, max(4.0, READ / pieces))),
    }


TASK = TaskKind(
    name="language_model",
    title="language model",
    modality="text",
    target="the next character or word",
    reader=RunningText(),
    encoder=TextEncoder,
    head=NextTokenHead,
    judge=NextTokenJudge,
    model="lstm",
    recipe=recipe,
    sampler=by_length("length"),
)
