"""pipeline: ceiling analysis of a table of predictions, one column per stage. Trains nothing, writes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE
from gnomon.data.in_memory import table_or_path
from gnomon.strategy.external import read_table, texts_and_numbers
from gnomon.strategy.pipeline import PipelineAnalysis, blame, ceilings

WITH = "prediction."  # prediction.STAGE: the final answer if every stage up to STAGE is replaced by the truth
TRUTH = ".truth"  # STAGE.truth beside STAGE: what the stage should have returned


def pipeline(table: Any) -> PipelineAnalysis:
    """The analysis of a table with target and prediction, one row per example, and one of two kinds of columns.

    prediction.STAGE in the order of the stages gives ceilings; STAGE and STAGE.truth in their order gives the stage in
    which each error starts. Errors are 0 or 1; error and error.STAGE columns hold measured ones instead.
    Raises DataError naming the missing column.
    """
    given = table_or_path(table)
    origin = "the table" if isinstance(given, pl.DataFrame) else str(given)
    table = texts_and_numbers(given if isinstance(given, pl.DataFrame) else read_table(given), origin)
    if table.is_empty():
        raise DataError("the table has no rows.", where=origin, fix="give one row per example.")
    measured = [name for name in table.columns if name.startswith("error.")]
    if measured:
        errors = np.vstack([_numbers(table, name, origin) for name in ("error", *measured)])
        unit = SHARE if np.isin(errors, (0.0, 1.0)).all() else ""
        return ceilings(errors, [name.removeprefix("error.") for name in measured], unit=unit)
    target = _text(table, "target", origin)
    replaced = [name for name in table.columns if name.startswith(WITH)]
    if replaced:
        rows = [(_text(table, name, origin) != target).to_numpy() for name in ("prediction", *replaced)]
        return ceilings(np.vstack(rows).astype(float), [name.removeprefix(WITH) for name in replaced])
    stages = [name.removesuffix(TRUTH) for name in table.columns if name.endswith(TRUTH)]
    if not stages:
        raise DataError(
            f"there are no stages; the columns are {', '.join(map(repr, table.columns[:8]))}.",
            where=origin,
            fix="add prediction.STAGE columns, or STAGE and STAGE.truth ones.",
        )
    right = [(_text(table, name, origin) == _text(table, name + TRUTH, origin)).to_numpy() for name in stages]
    wrong = (_text(table, "prediction", origin) != target).to_numpy()
    return blame(np.vstack(right), wrong, stages)


def _text(table: pl.DataFrame, name: str, origin: str) -> pl.Series:
    if name not in table.columns:
        raise DataError(f"the column {name!r} is missing.", where=origin, fix="add it.")
    return table[name].cast(pl.String).fill_null("")


def _numbers(table: pl.DataFrame, name: str, origin: str) -> np.ndarray:
    if name not in table.columns:
        raise DataError(f"the column {name!r} is missing.", where=origin, fix="add it.")
    numbers = table[name].cast(pl.Float64, strict=False)
    bad = numbers.is_null() | ~numbers.is_finite() | (numbers < 0)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"expected a number of at least 0, found {table[name][row]!r}.",
            where=f"{origin}, column {name!r}, row {row + 1}", fix="correct this cell.",
        )  # fmt: skip
    return numbers.to_numpy()
