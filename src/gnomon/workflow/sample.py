"""sample: new texts from a language model, drawn piece by piece from what it holds likely."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch

from gnomon.core.errors import UsageError
from gnomon.core.options import number, one_of, whole
from gnomon.core.seeds import generator
from gnomon.data.text.tokens import END, PADDING, UNKNOWN, split
from gnomon.nn.sampling import drawn, narrowed
from gnomon.parts.next_token import NextTokenHead
from gnomon.training.evaluate import judging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnomon.core.task import Task
    from gnomon.parts.text import TextEncoder
    from gnomon.workflow.run import Run

OPTIONS = ("prefix", "count", "length", "temperature", "top_k", "top_p", "reject", "seed")
MOST_TEXTS, MOST_LENGTH = 10_000, 1_000_000
SHOWN, SHOWN_TEMPERATURE = 3, 0.8  # in the report
AT_ONCE = 256  # texts drawn together
REJECTED = {"unknown": (UNKNOWN,), "none": ()}


@dataclass(frozen=True)
class Drawing:
    """How texts are drawn."""

    count: int = 1
    length: int | None = None  # most pieces after the prefix; None: as many as the longest training text has
    temperature: float = 1.0  # 0: always the likeliest piece
    top_k: int = 0  # draw from so many of the likeliest; 0: from all
    top_p: float = 1.0  # and from the likeliest that make up this share
    reject: str = "unknown"  # what is never drawn: one of REJECTED
    seed: int = 0

    @classmethod
    def of(
        cls, count: int | str = 1, length: int | str | None = None, temperature: float | str = 1.0,
        top_k: int | str = 0, top_p: float | str = 1.0, reject: str = "unknown", seed: int | str = 0,
    ) -> Self:  # fmt: skip
        """Raises UsageError for what cannot be."""
        heat, share = number("temperature", temperature), number("top_p", top_p)
        if not (heat >= 0 and math.isfinite(heat)):
            raise UsageError(f"temperature={heat:g} is not a number from 0 up.", fix="write temperature=0.8.")
        if not 0 < share <= 1:
            raise UsageError(f"top_p={share:g} is not above 0 and at most 1.", fix="write top_p=0.95.")
        return cls(
            whole("count", count, 1, MOST_TEXTS),
            None if length is None else whole("length", length, 1, MOST_LENGTH),
            heat, whole("top_k", top_k), share, one_of("reject", reject, list(REJECTED)), whole("seed", seed),
        )  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """Texts that were drawn, each with the prefix that it begins with."""

    texts: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what of the prefix the model does not know


def sample_run(run: Run, prefix: str, drawing: Drawing) -> Samples:
    """Texts from a language model. Raises UsageError for a run that is none."""
    if not is_of_text(run.task):
        raise UsageError(
            f"sample draws texts from a language model, and this run is {run.task.kind.title}.", where=str(run.path),
            fix="give a run of gnomon fit TEXT.",
        )  # fmt: skip
    task, model = run.task, cast(Any, run.model)
    texts: list[str] = []
    with judging(model):
        for first in range(0, drawing.count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, drawing.count))
            texts += _drawn(task, model, prefix, drawing, numbers)
    return Samples(tuple(texts), _about(prefix, task))


def samples_of(run: Run) -> tuple[str, ...]:
    """A few texts for the report, the same each time; none of a run that is no language model, or of folds."""
    if not is_of_text(run.task) or run.folds:
        return ()
    return sample_run(run, "", Drawing(count=SHOWN, temperature=SHOWN_TEMPERATURE, seed=run.settings.seed)).texts


def is_of_text(task: Task) -> bool:
    """Whether texts can be drawn from its models."""
    return isinstance(task.head, NextTokenHead)


def _drawn(task: Task, model: Any, prefix: str, drawing: Drawing, numbers: range) -> list[str]:
    head, encoder = cast(NextTokenHead, task.head), cast("TextEncoder", task.encoder)
    numbering = encoder.numbering()
    length = drawing.length or encoder.length - 1
    never = torch.tensor([PADDING, *(() if head.ends else (END,)), *REJECTED[drawing.reject]])
    uniform = np.stack([generator(drawing.seed, "sample", number).random(length) for number in numbers])
    begun = torch.from_numpy(np.concatenate([[END], numbering.ids(prefix)]).astype(np.int64))
    outputs, state = model.step(begun.expand(len(numbers), -1), None)
    ids, is_open = torch.zeros(len(numbers), length, dtype=torch.int64), torch.ones(len(numbers), dtype=torch.bool)
    for place in range(length):
        probabilities = narrowed(
            outputs[:, -1], temperature=drawing.temperature, top_k=drawing.top_k, top_p=drawing.top_p, never=never
        )
        ids[:, place] = drawn(probabilities, torch.from_numpy(uniform[:, place])) * is_open
        is_open &= ids[:, place] != END
        if not is_open.any() or place + 1 == length:
            break
        outputs, state = model.step(ids[:, place : place + 1], state)
    between = " " if head.level == "word" and prefix and not prefix[-1].isspace() else ""
    return [prefix + between + numbering.text(row) for row in ids.tolist()]


def _about(prefix: str, task: Task) -> tuple[str, ...]:
    head = cast(NextTokenHead, task.head)
    if head.level == "subword":  # which bytes write all that is missing
        return ()
    known = set(head.vocabulary)
    strange: Sequence[str] = [piece for piece in dict.fromkeys(split(prefix, head.level)) if piece not in known]
    if not strange:
        return ()
    shown = ", ".join(map(repr, strange[:5])) + (f" and {len(strange) - 5:,} more" if len(strange) > 5 else "")
    return (f"the model does not know these {head.level}s of the prefix: {shown}",)
