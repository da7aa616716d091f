"""What word vectors know, on the screen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.data.source import counted
from gnomon.data.text.word_space import Analogies

if TYPE_CHECKING:
    from gnomon.data.text.debias import Debiased
    from gnomon.data.text.word_space import Near, Similarities
    from gnomon.workflow.vectors import Found

MOST_NAMED = 8  # words that were kept


def print_vectors(found: Found) -> None:
    console = Console(file=sys.stdout, highlight=False)

    def line(text: str = "") -> None:
        console.print(f"  {text}" if text else "", markup=False, soft_wrap=True)

    line(f"{found.name}: {counted(found.num_words, 'word')}, {counted(found.dims, 'number')} each")
    for remark in found.remarks:
        line(f"note: {remark}")
    if found.debiased is not None:
        for text in _debiased(found.debiased):
            line(text)
    for near in (found.nearest, found.analogy):
        for text in _near(near):
            line(text)
    if found.scores is not None:
        for text in _scores(found.scores):
            line(text)
    for path in found.files:
        line(f"written to {path}")


def _near(near: Sequence[Near]) -> list[str]:
    width = max((len(one.word) for one in near), default=0)
    return [f"{printable(one.word):{width}}  {one.cosine:.3f}" for one in near]


def _scores(scores: Analogies | Similarities) -> list[str]:
    if isinstance(scores, Analogies):
        width = max(len(one.name) for one in scores.sections)
        rows = [
            f"{printable(one.name):{width}}  {100 * one.share:5.1f} %  ({one.right:,} of {one.asked:,})"
            for one in scores.sections if one.asked
        ]  # fmt: skip
        asked = scores.sections[-1].asked
        rows.append(f"{asked:,} of {scores.questions:,} questions have vectors for all four words; case is ignored")
    else:
        rows = [
            f"Spearman's correlation {scores.spearman:.3f}, Pearson's {scores.pearson:.3f}",
            f"{scores.used:,} of {scores.pairs:,} pairs have vectors for both words; case is ignored",
        ]
    return [*rows, *(f"note: {note}" for note in scores.notes)]


def _debiased(done: Debiased) -> list[str]:
    share = "" if done.share is None else f"; {100 * done.share:.0f} % of the variance of the pairs lies along it"
    first = ", ".join(printable(word) for word in done.kept[:MOST_NAMED])
    more = f", {first} ..." if first else ""
    judged = f"of {counted(done.judged, 'word')} that should be neutral"
    rows = [
        f"direction of the bias found{share}",
        f"neutralised all words but {len(done.kept):,} specific ones{more}",
        f"equalised {counted(done.equalised, 'pair')}",
        f"{judged:42}   before    after",
        _row("mean |cosine| with the direction", done.before.direct, done.after.direct),
        _row("mean difference to the two of a pair", done.before.unequal, done.after.unequal),
    ]
    if done.before.as_people_see is not None:
        rows.append(
            _row("correlation with what people see in them", done.before.as_people_see, done.after.as_people_see)
        )
    return [*rows, *(f"note: {note}" for note in done.notes)]


def _row(name: str, before: float, after: float | None) -> str:
    return f"{name:42} {before:8.4f} {'none left' if after is None else f'{after:8.4f}'}"
