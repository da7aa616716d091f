"""Translation: any text to any text, such as languages, dates, spelling to sound, question to answer."""

from __future__ import annotations

from typing import Any, cast

from gnomon.core.task import Task, TaskKind
from gnomon.parts.pairs import PairEncoder, TextPairs
from gnomon.parts.translation import TranslationHead, TranslationJudge, TranslationSettings
from gnomon.training.samplers import by_length

BATCHES = ((1_000, 16), (4_000, 32))  # pairs up to which batches have so many: few pairs need more steps


def defaults(task: Task, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` pairs.

    What is short and written in characters is soon learned by a recurrent net with attention (as in Wu et al. 2021,
    Transformers need large batches and many passes there).
    """
    found: dict[str, Any] = next(
        ({"optimiser.batch_size": size} for most, size in BATCHES if num_train <= most), {}
    )  # fmt: skip
    encoder = cast(PairEncoder, task.encoder)
    if encoder.is_short and encoder.target_level == "character":
        found["model.name"] = "seq2seq-attention"
    return found


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
