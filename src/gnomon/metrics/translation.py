"""Scores of translated texts: BLEU, chrF and TER of a corpus with intervals, and their names as sacrebleu has them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from gnomon.core.seeds import generator
from gnomon.metrics.bleu import bleu, counts
from gnomon.metrics.chrf import chrf, chrf_counts, ter, ter_counts
from gnomon.metrics.interval import Interval
from gnomon.metrics.resampling import (
    ROUNDS,
    accelerated_interval,
    left_out_counts,
    resampled_sums,
    sums_per_unit,
)

BLEU, CHRF, TER = "BLEU", "chrF", "TER"
LEAST_TOKENS = 4  # of some reference, for BLEU to be defined
LOOKED_AT = 200  # sentences whose script is looked at
WITHOUT_SPACES = ("HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")  # scripts, as Unicode names begin
HAN = "CJK"


def translation_metrics(
    texts: Sequence[str], references: Sequence[Sequence[str]], seed: int = 0, groups: np.ndarray | None = None
) -> dict[str, Interval]:
    """Of N texts with one or more references each: BLEU and chrF in [0, 100], TER in percent; equal to sacrebleu's.

    Each has an interval by redrawing sentences, or groups (N,). BLEU is left out where no reference has four tokens.
    """
    if not texts:
        return {}
    columns = [counts(texts, references, _tokeniser(tokens_of(references)))]
    columns += [chrf_counts(texts, references), ter_counts(texts, references)]
    ends = np.cumsum([one.shape[1] for one in columns])[:-1]
    table = np.concatenate(columns, axis=1).astype(np.float64)

    def scores(sums: np.ndarray) -> np.ndarray:
        for_bleu, for_chrf, for_ter = np.split(sums, ends, axis=1)
        return np.stack([bleu(for_bleu), 100 * chrf(for_chrf), 100 * ter(for_ter)], axis=1)

    rng, units = generator(seed, "bootstrap", "sentences"), sums_per_unit(table, groups)
    values = scores(table.sum(axis=0)[None])[0]
    drawn = scores(resampled_sums(units, ROUNDS, rng))
    left_out = scores(np.array([times @ units for times in left_out_counts(len(units), None, rng)]))
    method = f"bootstrap over {len(units):,} {'sentences' if groups is None else 'groups of sentences'}"
    found = {
        name: accelerated_interval(float(value), draws, left, len(units), method)
        for name, value, draws, left in zip((BLEU, CHRF, TER), values, drawn.T, left_out.T, strict=True)
    }
    return found if columns[0][:, -1].max() >= LEAST_TOKENS else {name: found[name] for name in (CHRF, TER)}


def signature(references: Sequence[Sequence[str]] = ()) -> str:
    """What each score is, as sacrebleu writes it: "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"."""
    from sacrebleu.metrics import BLEU, CHRF, TER  # lazily: only translations need it

    numbers = {len(one) for one in references} or {1}
    written = []
    for metric in (BLEU(tokenize=tokens_of(references)), CHRF(), TER()):
        metric.num_refs = numbers.pop() if len(numbers) == 1 else -1  # -1: it varies
        numbers = {metric.num_refs}
        written.append(f"{_name(metric)}|{metric.get_signature()}")
    return "; ".join(written)


def _name(metric: Any) -> str:
    return f"chrF{metric.beta}" if hasattr(metric, "beta") else type(metric).__name__


def tokens_of(references: Sequence[Sequence[str]]) -> str:
    """The name of sacrebleu's tokenisation for these texts: "13a", and where words have no spaces "zh" or "char"."""
    letters = [one for row in islice(references, LOOKED_AT) for text in row for one in text if one.isalpha()]
    scripts = [unicodedata.name(one, "").split(" ")[0] for one in letters]
    num_other, num_han = sum(one in WITHOUT_SPACES for one in scripts), scripts.count(HAN)
    if 2 * (num_other + num_han) <= len(scripts):
        return "13a"
    return "char" if 10 * num_other > num_other + num_han else "zh"  # Japanese is never without kana


def _tokeniser(name: str) -> Callable[[str], list[str]]:
    from sacrebleu.metrics import BLEU  # lazily: only translations need it

    split = BLEU(tokenize=name).tokenizer
    return lambda text: split(text.rstrip()).split()
