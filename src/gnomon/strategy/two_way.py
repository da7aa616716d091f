"""The two-way table: people, examples trained on, unseen examples; on general data and on the target data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gnomon.core.evaluation import Evaluation
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import measure
from gnomon.strategy.wording import format_error, format_gap

ROWS = ("human", "trained on", "not trained on")
COLUMNS = ("general", "target")


@dataclass(frozen=True)
class TwoWay:
    """Errors by row and column of the table; None where nothing was measured."""

    unit: str | None
    cells: Mapping[tuple[str, str], Interval | None]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What neighbouring cells of the table say, if both are known."""
        found = []
        people = [self.cells["human", column] for column in COLUMNS]
        if people[0] is not None and people[1] is not None:
            harder = people[1].value - people[0].value
            word = "harder" if harder > 0 else "easier"
            found.append(f"for people, the target data is {word} by {format_gap(abs(harder), self.unit)}")
        first, second = (self.cells["not trained on", column] for column in COLUMNS)
        if first is not None and second is not None:
            found.append(f"data mismatch: {format_gap(second.value - first.value, self.unit)} from general to target")
        known, unknown = self.cells["trained on", "target"], self.cells["not trained on", "target"]
        if known is not None and unknown is not None:
            found.append(
                f"on target data alone, unseen examples add {format_gap(unknown.value - known.value, self.unit)}"
            )
        return tuple(found)


def two_way(
    evaluations: Mapping[str, Evaluation],
    *,
    human_general: float | Interval | None = None,
    human_target: float | Interval | None = None,
    seed: int = 0,
) -> TwoWay | None:
    """From train, train_dev, dev and people's answers on dev ("human") and on general data ("human_general").

    None without train-dev. Training rows with the same `source` as dev fill the cell of target data trained on; if
    every row has one source, that cell stays empty. Source: Ng 2018, Machine Learning Yearning, chapter 41 and the
    notes on mismatched data.
    """
    if "train_dev" not in evaluations or "dev" not in evaluations:
        return None
    dev = evaluations["dev"]
    cells: dict[tuple[str, str], Interval | None] = {(row, column): None for row in ROWS for column in COLUMNS}
    for name, column, level in (("human_general", "general", human_general), ("human", "target", human_target)):
        people = evaluations.get(name)
        cells["human", column] = _known(level) if people is None else measure(people, seed=seed).interval
    cells["not trained on", "target"] = measure(dev, seed=seed).interval
    for split, row in (("train", "trained on"), ("train_dev", "not trained on")):
        if split in evaluations:
            general, target = _divided(evaluations[split], dev)
            cells[row, "general"] = _measured(general, seed)
            if row == "trained on":
                cells[row, "target"] = _measured(target, seed)
    return TwoWay(dev.unit, cells)


def general_part(evaluations: Mapping[str, Evaluation]) -> Evaluation | None:
    """The rows of train-dev that do not share dev's source: the general data on which to measure people."""
    if "train_dev" not in evaluations or "dev" not in evaluations:
        return None
    return _divided(evaluations["train_dev"], evaluations["dev"])[0]


def _divided(evaluation: Evaluation, dev: Evaluation) -> tuple[Evaluation, Evaluation]:
    """The rows that do not share dev's source, and those that do; whole-split metrics are measured as means here."""
    import polars as pl

    table = evaluation.table
    if "source" not in table.columns or "source" not in dev.table.columns:
        return evaluation, Evaluation(evaluation.split, evaluation.unit, table.head(0))
    is_target = table["source"].is_in(dev.table["source"].unique().to_list()).fill_null(False)
    if is_target.all():  # a single source name says nothing
        is_target = pl.repeat(False, len(table), dtype=pl.Boolean, eager=True)
    parts = (table.filter(~is_target), table.filter(is_target))
    if parts[1].is_empty():
        return evaluation, Evaluation(evaluation.split, evaluation.unit, parts[1])
    general, target = (Evaluation(evaluation.split, evaluation.unit, part) for part in parts)
    return general, target


def _measured(evaluation: Evaluation, seed: int) -> Interval | None:
    return None if evaluation.table.is_empty() else measure(evaluation, seed=seed).interval


def _known(error: float | Interval | None) -> Interval | None:
    return error if error is None or isinstance(error, Interval) else Interval(error, error, error, "given")


def two_way_rows(found: TwoWay) -> tuple[tuple[str, str, str], ...]:
    """Three rows of (name, general, target) for display; "" where nothing was measured."""
    return tuple(
        (row, *(_cell(found.cells[row, column], found.unit) for column in COLUMNS))  # type: ignore[misc]
        for row in ROWS
    )


def _cell(one: Interval | None, unit: str | None) -> str:
    if one is None:
        return ""
    if one.low == one.high:
        return format_error(one.value, unit)
    low, high = (format_error(end, unit).split(" ", 1)[0] for end in (one.low, one.high))
    return f"{format_error(one.value, unit)} [{low}, {high}]"


def two_way_text(found: TwoWay) -> str:
    """The table and its sentences, as aligned plain text without a trailing newline."""
    rows = [("", "general data", "target data"), *two_way_rows(found)]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*(line.rstrip() for line in lines), *(f"  {sentence}" for sentence in found.sentences)])
