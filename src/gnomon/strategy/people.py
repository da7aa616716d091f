"""How well people do, from their answers: each one's error, the team's, or what their disagreement alone implies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, measure, share

TEAM = "team"  # the answer that most people gave
FEWEST = 2  # people needed to measure agreement


@dataclass(frozen=True)
class People:
    """Errors of people on the same examples; the best of them estimates the Bayes error."""

    errors: dict[str, Interval]  # by name; includes TEAM if there are three people or more
    best: str
    evaluation: Evaluation  # of the best one, as the rung "human" of a ladder

    @property
    def error(self) -> Interval:
        return self.errors[self.best]


def read_people(source: str | Path | pl.DataFrame) -> pl.DataFrame:
    """A table with an id column and one column of answers per person. Raises DataError for anything else."""
    from gnomon.strategy.external import read_table

    table = source if isinstance(source, pl.DataFrame) else read_table(Path(source))
    where = "the table of people" if isinstance(source, pl.DataFrame) else str(source)
    if "id" not in table.columns or table.width < 2 or table.is_empty():
        raise DataError(
            "expected an id column and a column of answers for each person.", where=where,
            fix="start the file with id,anna,ben and give one row per example.",
        )  # fmt: skip
    if table["id"].is_duplicated().any():
        twice = table["id"].filter(table["id"].is_duplicated())[0]
        raise DataError(f"the id {str(twice)!r} appears more than once.", where=where, fix="give each example one row.")
    return table


def people(answers: pl.DataFrame, judged: Evaluation) -> People:
    """Score each person's answers against the targets of `judged`, on the examples they answered.

    answers: as returned by `read_people`; an empty cell means no answer. 0/1 errors for classes, absolute errors for
    numbers. Three or more people also answer as a team: the most frequent answer (averaged over ties), or the median.
    Raises DataError if nobody answered any of the examples.
    """
    names = [name for name in answers.columns if name != "id"]
    known = judged.table.select(
        pl.col("id").cast(pl.String), "target", *(["group"] if "group" in judged.table.columns else [])
    )
    joined = known.join(answers.with_columns(pl.col("id").cast(pl.String)), on="id", how="inner")
    if joined.is_empty():
        raise DataError(
            "none of the people's answers is for an example of this split.", where=judged.split,
            fix="use the ids in the predictions.",
        )  # fmt: skip
    is_share = judged.unit == SHARE
    columns = {name: _errors(joined, name, is_share=is_share) for name in names}
    if len(names) > FEWEST:
        columns[TEAM] = _team(joined, names, is_share=is_share)
    found: dict[str, tuple[Interval, Evaluation]] = {}
    for name, errors in columns.items():
        answered = np.isfinite(errors)
        if answered.any():
            rows = joined.filter(answered).with_columns(pl.Series("error", errors[answered]))
            evaluation = Evaluation("human", judged.unit, rows)
            found[name] = (measure(evaluation).interval, evaluation)
    best = min(found, key=lambda name: (found[name][0].value, name))
    return People({name: interval for name, (interval, _) in found.items()}, best, found[best][1])


def _errors(table: pl.DataFrame, name: str, *, is_share: bool) -> np.ndarray:
    """(N,) NaN where there is no answer."""
    if is_share:
        answer, target = table[name].cast(pl.String), table["target"].cast(pl.String)
        return (answer != target).cast(pl.Float64).fill_null(np.nan).to_numpy()
    errors: np.ndarray = np.abs(_numbers(table, name) - table["target"].cast(pl.Float64).to_numpy())
    return errors


def _numbers(table: pl.DataFrame, name: str) -> np.ndarray:
    numbers = table[name].cast(pl.Float64, strict=False)
    if numbers.null_count() > table[name].null_count():
        raise DataError(f"some answers of {name!r} are not numbers.", fix="give numbers, or leave the cell empty.")
    return numbers.fill_null(np.nan).to_numpy()


def _team(table: pl.DataFrame, names: Sequence[str], *, is_share: bool) -> np.ndarray:
    if not is_share:
        answers = np.column_stack([_numbers(table, name) for name in names])
        errors = np.full(len(table), np.nan)
        known = np.isfinite(answers).any(axis=1)
        errors[known] = np.abs(
            np.nanmedian(answers[known], axis=1) - table["target"].cast(pl.Float64).to_numpy()[known]
        )
        return errors
    targets = table["target"].cast(pl.String).to_list()
    rows = table.select(pl.col(name).cast(pl.String) for name in names).rows()
    errors = np.full(len(table), np.nan)
    for place, (row, target) in enumerate(zip(rows, targets, strict=True)):
        given = [answer for answer in row if answer is not None]
        if given:
            most = max(given.count(answer) for answer in given)
            tied = {answer for answer in given if given.count(answer) == most}
            errors[place] = 1 - (target in tied) / len(tied)
    return errors


def error_from_agreement(answers: pl.DataFrame, num_classes: int, *, seed: int = 0) -> Interval:
    """The error of one person, from how often two people disagree, when nobody knows the truth.

    If people err independently, each with probability e, equally often into each of the K - 1 other classes, two of
    them disagree with probability d = 2 e - e^2 K / (K - 1); solved for e. Errors that people share (the same hard
    example) do not show, so this is a lower bound on human error. The interval is that of d, solved for e.
    Source: Dawid and Skene 1979, with one error rate; Cover and Hart (1967) derive the same bound differently.
    """
    names = [name for name in answers.columns if name != "id"]
    if len(names) < FEWEST or num_classes < 2:
        raise DataError(
            "measuring agreement takes at least two people and two classes.", fix="give one column per person."
        )
    codes = [answers[name].cast(pl.String) for name in names]
    pairs, differ = np.zeros(len(answers)), np.zeros(len(answers))
    for i, first in enumerate(codes):
        for second in codes[i + 1 :]:
            differs = (first != second).cast(pl.Float64).fill_null(np.nan).to_numpy()
            pairs += np.isfinite(differs)
            differ += np.nan_to_num(differs)
    asked = pairs > 0
    if not asked.any():
        raise DataError("no example was answered by two people.", fix="have two people answer the same examples.")
    rows = Rows(differ[asked] / pairs[asked], pairs[asked], None)
    unlike = share(rows, generator(seed, "agreement")).interval
    value, low, high = (_error_of(one, num_classes) for one in (unlike.value, unlike.low, unlike.high))
    return Interval(value, low, high, f"agreement, {unlike.method}")


def _error_of(disagreement: float, num_classes: int) -> float:
    """The smaller root of d = 2 e - e^2 K / (K - 1); the error of guessing if people disagree more than guessers."""
    spread = num_classes / (num_classes - 1)
    return (1 - math.sqrt(max(1 - spread * disagreement, 0.0))) / spread
