"""Translation: any text to any text, such as languages, dates, spelling to sound, question to answer."""

from __future__ import annotations

from typing import Any

from gnomon.core.task import Task, TaskKind
from gnomon.parts.pairs import PairEncoder, TextPairs
from gnomon.parts.translation import TranslationHead, TranslationJudge, TranslationSettings
from gnomon.training.samplers import by_length

BATCHES = ((1_000, 16), (4_000, 32))  # pairs up to which batches have so many: few pairs need more steps


def defaults(_task: Task, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` pairs."""
    return next(({"optimiser.batch_size": size} for most, size in BATCHES if num_train <= most), {})


TASK = TaskKind(
    name="translation",
    title="translation",
    modality="text",
    target="a text",
    reader=TextPairs(),
    encoder=PairEncoder,
    head=TranslationHead,
    judge=TranslationJudge,
    model="transformer",
    settings=TranslationSettings,
    defaults=defaults,
    sampler=by_length("ids", "target"),
)
