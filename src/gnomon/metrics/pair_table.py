"""Pairs of texts as a table of predictions holds them: one source per row, its references, and the text of the answer.

`text`: the source. `target`: its first reference, `references` all of them as a JSON list. `prediction`: the answer. Of
models that say how likely texts are: `score`, which the search maximises, and `log_probability` of the answer, and both
of the reference with the highest score (`reference_score`, `reference_log_probability`). `reachable`: false where the
model cannot write that reference, whose words it does not know. Only text, target, prediction and references must be
there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    import polars as pl

CELLS = ("text", "target", "prediction", "references")


@final
@dataclass(frozen=True)
class PairTable:
    """N sources with their references and answers; NaN where a number is not known."""

    sources: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    answers: tuple[str, ...]
    errors: np.ndarray  # (N,)
    score: np.ndarray  # (N,) of the answer: what the search maximises
    reference_score: np.ndarray  # (N,)
    log_probability: np.ndarray  # (N,) of the answer, in nats
    reference_log_probability: np.ndarray  # (N,)
    reachable: np.ndarray  # (N,) bool: True where nothing is known


def references_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """All references in a row of a table of pairs; what is no list of texts counts as nothing but the target."""
    target = row["target"] or ""
    try:
        found = json.loads(row["references"] or "null")
    except ValueError:
        return (target,)
    is_list = isinstance(found, list) and found and all(isinstance(one, str) for one in found)
    return tuple(found) if is_list else (target,)


def is_pairs(table: pl.DataFrame) -> bool:
    """Whether the rows of a table of predictions are texts that became other texts."""
    import polars as pl

    if not set(CELLS) <= set(table.columns) or not len(table):
        return False
    return all(table[name].dtype == pl.String for name in CELLS)


def read(table: pl.DataFrame) -> PairTable:
    """All pairs of a table; an empty cell is an empty text."""
    import polars as pl

    numbers = {
        name: table[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        if name in table.columns
        else np.full(len(table), np.nan)
        for name in ("error", "score", "reference_score", "log_probability", "reference_log_probability")
    }
    sources, answers = (tuple(table[name].fill_null("")) for name in ("text", "prediction"))
    references = tuple(map(references_of, table.select(CELLS).iter_rows(named=True)))
    can = table["reachable"].cast(pl.Boolean).to_numpy() if "reachable" in table.columns else np.ones(len(table), bool)
    return PairTable(
        sources, references, answers, numbers["error"], numbers["score"], numbers["reference_score"],
        numbers["log_probability"], numbers["reference_log_probability"], can,
    )  # fmt: skip
