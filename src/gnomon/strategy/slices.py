"""Where the errors are: by class and by tag, each slice with its interval and its share of all errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gnomon.metrics.intervals import measure, weights_of

if TYPE_CHECKING:
    import polars as pl

    from gnomon.core.evaluation import Evaluation
    from gnomon.metrics.interval import Interval

TAG = "tag."
MOST_VALUES = 1000  # a column with more distinct values than this identifies examples, not slices
MOST_MISSED = 6  # classes that are named


@dataclass(frozen=True, slots=True)
class Slice:
    """The examples that share one value of one column."""

    column: str  # "target", "tag.camera"
    value: str
    error: Interval
    examples: int
    share_of_examples: float  # by weight
    share_of_errors: float  # of the sum of weighted errors: the most that making the slice perfect would remove


def by_class(evaluation: Evaluation, *, seed: int = 0) -> tuple[Slice, ...]:
    """One slice per target, worst first; none if targets are numbers."""
    if evaluation.table["target"].dtype.is_float():
        return ()
    return _slices(evaluation, "target", seed)


def missed_classes(evaluation: Evaluation) -> str:
    """A sentence that names the classes of which every example is wrong, the largest first; "" if there are none.

    A low error over all examples hides them when they are rare.
    """
    missed = [one for one in by_class(evaluation) if one.error.value == 1]
    if not missed:
        return ""
    missed.sort(key=lambda one: (-one.examples, one.value))
    named = ", ".join(f"{one.value} (0 of {one.examples:,})" for one in missed[:MOST_MISSED])
    more = f" and {len(missed) - MOST_MISSED:,} more" if len(missed) > MOST_MISSED else ""
    which = "one class is" if len(missed) == 1 else f"{len(missed):,} classes are"
    return f"{which} never predicted right on {evaluation.split}: {named}{more}"


def by_tag(evaluation: Evaluation, *, seed: int = 0) -> dict[str, tuple[Slice, ...]]:
    """For each tag.NAME column its slices, worst first; examples without the tag are in no slice."""
    columns = [name for name in evaluation.table.columns if name.startswith(TAG)]
    found = {name: _slices(evaluation, name, seed) for name in columns}
    return {name: slices for name, slices in found.items() if slices}


def _slices(evaluation: Evaluation, column: str, seed: int) -> tuple[Slice, ...]:
    """Worst first: by the lower end of the error's interval, so that a slice with one wrong example does not lead."""
    table = evaluation.table.with_columns(evaluation.table[column].cast(str))
    table = table.filter(_scored(table))
    total_weight, total_error = _sums(table)
    parts = table.drop_nulls(column).partition_by(column, as_dict=True)
    if len(parts) > MOST_VALUES:
        return ()
    found = []
    for (value,), part in parts.items():
        mean = replace(
            evaluation, table=part, split_error=None
        )  # a slice has the mean error of its rows, whatever metric the split has
        measured = measure(mean, seed=seed)
        weight, error = _sums(part)
        share = error / total_error if total_error > 0 else 0.0
        found.append(Slice(column, str(value), measured.interval, measured.examples, weight / total_weight, share))
    return tuple(sorted(found, key=lambda one: (-one.error.low, -one.error.value, one.value)))


def _scored(table: pl.DataFrame) -> pl.Series:
    import polars as pl

    return pl.Series(weights_of(table) > 0)


def _sums(table: pl.DataFrame) -> tuple[float, float]:
    weights = weights_of(table)
    return float(weights.sum()), float((weights * table["error"].cast(float).to_numpy()).sum())
