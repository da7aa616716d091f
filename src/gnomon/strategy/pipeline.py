"""Ceiling analysis: how much a pipeline would gain if its stages, one after another, were perfect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnomon.core.errors import DataError, UsageError
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, mean, share, wilson
from gnomon.metrics.resampling import ROUNDS, percentile_interval, resampled_sums
from gnomon.strategy.verdict import SURE
from gnomon.strategy.wording import format_error, format_gap


@dataclass(frozen=True)
class Stage:
    """One stage: what it does with the output of the previous stage, and what it should have returned."""

    name: str
    run: Callable[[Any], Any]  # one example's output of the previous stage -> this stage's output
    truth: Sequence[Any]  # (N,) perfect outputs of this stage


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The pipeline with every stage up to this one replaced by the truth."""

    stage: str
    error: Interval  # of the whole pipeline
    gain: Interval  # what making this stage perfect too adds; paired


@dataclass(frozen=True, slots=True)
class Blame:
    """How many of the wrong examples first go wrong in this stage."""

    stage: str  # "" if every stage is right but the final answer is not
    count: int
    share: Interval


@dataclass(frozen=True)
class PipelineAnalysis:
    """Where a pipeline loses accuracy."""

    unit: str | None
    error: Interval  # as it is
    ceilings: tuple[Ceiling, ...]  # in order of the stages; empty if only stage outputs are known
    blames: tuple[Blame, ...]  # in order of the stages; empty if only ceilings are known
    first: str | None  # the stage to work on first; None if there are too few examples to say
    text: str


def run_ceilings(
    stages: Sequence[Stage], inputs: Sequence[Any], error: Callable[[Any, int], float], *, unit: str | None = "share"
) -> PipelineAnalysis:
    """Run the stages on N inputs, then with the first stage replaced by its truth, then the first two, and so on.

    error: (final output, position of the example) -> its error; 0 is perfect.
    Source: Ng 2011, Machine Learning course, "Ceiling analysis" (photo OCR).
    """
    if len(stages) < 2:
        raise UsageError("a pipeline has at least two stages.", fix="give every stage with its truth.")
    for stage in stages:
        if len(stage.truth) != len(inputs):
            raise DataError(
                f"stage {stage.name!r} has {len(stage.truth):,} truths for {len(inputs):,} inputs.",
                fix="give the perfect output of every stage for every example.",
            )
    errors = np.empty((len(stages) + 1, len(inputs)))
    for perfect in range(len(stages) + 1):
        for position, given in enumerate(inputs):
            output = given if perfect == 0 else stages[perfect - 1].truth[position]
            for stage in stages[perfect:]:
                output = stage.run(output)
            errors[perfect, position] = error(output, position)
    return ceilings(errors, [stage.name for stage in stages], unit=unit)


def ceilings(
    errors: np.ndarray, stages: Sequence[str], *, unit: str | None = "share", weights: np.ndarray | None = None,
    groups: np.ndarray | None = None, seed: int = 0,
) -> PipelineAnalysis:  # fmt: skip
    """From errors (S + 1, N): row 0 as it is, row k with the first k stages perfect, for the same N examples.

    The intervals of the gains are paired: the same resampled examples (or groups) are used for all rows.
    """
    if errors.shape[0] != len(stages) + 1 or errors.shape[1] == 0:
        raise DataError(
            f"{errors.shape[0]} rows of errors for {len(stages)} stages.",
            fix="give the error as it is, then one per stage.",
        )
    if not (np.isfinite(errors).all() and (errors >= 0).all()):
        raise DataError("some errors are not numbers of at least 0.", fix="correct them, or leave these examples out.")
    weights = np.ones(errors.shape[1]) if weights is None else weights
    rng = generator(seed, "ceilings")
    columns = np.vstack([weights * errors, weights]).T  # (N, S + 2)
    units = columns if groups is None else _summed(columns, groups)
    totals = resampled_sums(units, ROUNDS, rng)
    draws = totals[:, :-1] / totals[:, -1:]  # (R, S + 1)
    values = columns[:, :-1].sum(axis=0) / columns[:, -1].sum()
    gains, gain_draws = values[:-1] - values[1:], draws[:, :-1] - draws[:, 1:]
    rows = [_error(row, weights, groups, unit, rng) for row in errors]
    found = tuple(
        Ceiling(
            name, rows[k + 1], percentile_interval(float(gains[k]), gain_draws[:, k], len(units), "paired bootstrap")
        )
        for k, name in enumerate(stages)
    )
    best = int(gains.argmax())
    certainty = float((gain_draws.argmax(axis=1) == best).mean()) if gains[best] > 0 else 0.0
    return PipelineAnalysis(unit, rows[0], found, (), *_first(found, best, certainty, rows[0], unit))


def _summed(columns: np.ndarray, groups: np.ndarray) -> np.ndarray:
    _, codes = np.unique(groups, return_inverse=True)
    return np.stack([np.bincount(codes, weights=column) for column in columns.T], axis=1)


def _error(
    errors: np.ndarray, weights: np.ndarray, groups: np.ndarray | None, unit: str | None, rng: np.random.Generator
) -> Interval:
    rows = Rows(errors, weights, groups)
    return (share if unit == "share" and errors.max() <= 1 else mean)(rows, rng).interval


def _first(
    found: Sequence[Ceiling], best: int, certainty: float, error: Interval, unit: str | None
) -> tuple[str | None, str]:
    stage, gain = found[best].stage, found[best].gain
    if gain.low <= 0:
        return None, "No stage's gain is statistically clear on these examples: more are needed."
    size = f"a perfect {stage} takes {format_gap(gain.value, unit)} off the error of {format_error(error.value, unit)}"
    if certainty >= SURE:
        return stage, f"Work on {stage} first: {size}, more than any other stage."
    rivals = sorted((one for one in found if one.stage != stage), key=lambda one: -one.gain.value)
    other = f"{rivals[0].stage} ({format_gap(rivals[0].gain.value, unit)})"
    return None, f"{stage} or {other} comes first, but there are too few examples to say which: {size}."


def blame(outputs: np.ndarray, is_wrong: np.ndarray, stages: Sequence[str], *, seed: int = 0) -> PipelineAnalysis:
    """From outputs (S, N), True where a stage was right, and is_wrong (N,), whether the final answer is wrong.

    Each wrong example counts against the first stage that was wrong; later stages had no chance.
    Source: Ng 2018, Machine Learning Yearning, chapters 53 to 57.
    """
    if outputs.shape != (len(stages), len(is_wrong)) or len(is_wrong) == 0:
        raise DataError("every stage needs an output for every example.", fix="give one column per stage.")
    total, wrong = len(is_wrong), int(is_wrong.sum())
    error = wilson(wrong, total)
    if wrong == 0:
        return PipelineAnalysis(
            "share", error, (), (), None, "No final answer is wrong: there is nothing to attribute."
        )
    first = np.where(outputs.all(axis=0), len(stages), (~outputs).argmax(axis=0))[is_wrong]
    counts = np.bincount(first, minlength=len(stages) + 1)
    names = [*stages, ""]
    blames = tuple(
        Blame(name, int(count), wilson(int(count), wrong)) for name, count in zip(names, counts, strict=True)
    )
    draws = generator(seed, "blame").multinomial(wrong, counts / wrong, size=ROUNDS)
    best = int(counts.argmax())
    certainty = float((draws.argmax(axis=1) == best).mean())
    return PipelineAnalysis("share", error, (), blames, *_first_to_blame(blames, best, certainty))


def _first_to_blame(blames: Sequence[Blame], best: int, certainty: float) -> tuple[str | None, str]:
    one = blames[best]
    part = f"{one.count:,} of {sum(other.count for other in blames):,} errors"
    if one.stage == "":
        return None, (
            f"In {part} every stage is right and the final answer is still wrong: the pipeline itself loses something "
            "that is needed. Try other stages, or a single end-to-end network."
        )
    if certainty >= SURE:
        return one.stage, f"Work on {one.stage} first: {part} start there."
    rivals = sorted((other for other in blames if other is not one), key=lambda other: -other.count)
    other = f"{rivals[0].stage or 'the final answer'} ({rivals[0].count:,})"
    return (
        None,
        (
            f"{one.stage} or {other} comes first, but there are too few examples to say which: {part} start in "
            f"{one.stage}."
        ),
    )
