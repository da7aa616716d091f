"""What the pieces of an answer looked at in the source: the attention of a net from one text to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnomon.core.errors import UsageError
from gnomon.core.family import PairInputs
from gnomon.data.text.tokens import END, SPECIAL, Numbering, normalised, split
from gnomon.strategy.alignment import END as SHOWN_END
from gnomon.strategy.alignment import Alignment, in_words
from gnomon.training.evaluate import judging

if TYPE_CHECKING:
    from gnomon.core.example import Examples
    from gnomon.core.task import Task
    from gnomon.training.evaluate import Member

WITHOUT = "this net has no attention: it keeps a source as one list of numbers, and nothing tells what it looked at."


def is_of_pairs(task: Task) -> bool:
    """Whether it answers texts with other texts."""
    return isinstance(task.encoder.inputs, PairInputs)


def align(member: Member, examples: Examples, place: int) -> Alignment:
    """The best answer to one source, and what it looked at. Raises UsageError for a net without attention."""
    task, model = member.task, member.model
    judge: Any = task.judge
    encoder: Any = task.encoder
    batch = task.batch(encoder.encode(examples.take(np.array([place]))), torch.arange(1), torch.device("cpu"))
    with judging(model):
        found = judge.predict(model, task.outputs(model, batch), batch).values[0]
        numbering = Numbering(judge.vocabulary, judge.level, judge.subwords)
        ids = numbering.ids(found.text).tolist()
        weights = model.alignment(batch["ids"], batch["length"], torch.tensor([[END, *ids]]))  # type: ignore[operator]
    if weights is None:
        raise UsageError(WITHOUT, fix="train one that has it: gnomon fit DATA model=seq2seq-attention")
    source = str(examples[place].inputs)
    count = int(batch["length"][0]) - 1  # the rest of a long source is cut
    above = _pieces(normalised(source, encoder.normalise), encoder.numbering(), batch["ids"][0].tolist())[:count]
    beside = _pieces(found.text, numbering, ids)
    name = str(examples.index["id"][place])
    aligned = Alignment(
        name, source, found.text, (*above, SHOWN_END), (*beside, SHOWN_END), weights[0].double().cpu().numpy()
    )
    return in_words(aligned) if "subword" in (encoder.level, judge.level) else aligned


def _pieces(text: str, numbering: Numbering, ids: list[int]) -> tuple[str, ...]:
    """The pieces as they stand in the text: of unknown ones what is unknown."""
    if numbering.level != "subword":
        return tuple(split(text, numbering.level))
    return tuple(numbering.vocabulary[one - SPECIAL] for one in ids if one >= SPECIAL)
