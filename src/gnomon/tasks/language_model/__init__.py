"""Language model: the next character or word of a text, given those before it."""

from gnomon.core.task import TaskKind
from gnomon.parts.next_token import NextTokenHead, NextTokenJudge
from gnomon.parts.text import RunningText, TextEncoder
from gnomon.training.samplers import by_length

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
    sampler=by_length("length"),
)
