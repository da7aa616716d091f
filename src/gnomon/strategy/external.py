"""Predictions made by any other framework, read from a table, checked strictly, as evaluations by split."""

from __future__ import annotations

import csv
import difflib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, SPLITS, Evaluation
from gnomon.core.plain import LARGEST_FLOAT
from gnomon.metrics import box_table, mask_table, span_table
from gnomon.strategy.judged_places import judged_places

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED = ("split", "target", "prediction")
OPTIONAL = ("error", "id", "source", "weight", "loss", "confidence", "group")
NUMBERS = ("error", "weight", "loss", "confidence")
PREFIXES = ("tag.", "p.")
OF_PLACES = (  # columns of tables of boxes, masks and spans
    "width", "height", "threshold", "class_names", "confusion", "sure", "text",
)  # fmt: skip
SPLIT_NAMES = {name: name for name in ("human", *SPLITS)} | {
    "train-dev": "train_dev",
    "training": "train",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
}
MOST_ROWS = 50_000_000  # of a Parquet file, which may hold billions of equal rows in a few bytes
ROUNDED = 1e-4  # above 1: a probability of 32 or 16 bits
OFF = 0.05  # how far the probabilities of a row may be from summing to 1, because they were rounded
WHOLE = r"^[+-]?\d+$"


def read_predictions(source: str | Path | pl.DataFrame) -> dict[str, Evaluation]:
    """Evaluations by split from a Parquet or CSV file, or a frame.

    Columns: split (train, train-dev, dev, test, human), target and prediction, or error in their place; optional id,
    source, weight, loss, confidence, group, tag.NAME, p.CLASS (a row of these whose sum is 1 up to rounding is divided
    by it). Without an error column, the error is
    |prediction - target|, in an unnamed unit, if both are numbers and not all whole; otherwise 1 if they differ and 0
    if not, because whole numbers are class ids. Errors of only 0 and 1 are shares. Boxes (with width and height of the
    pictures) and masks are written as `metrics/box_table.py` and `mask_table.py` say, and judged as gnomon judges its
    own. Raises DataError.
    """
    origin = "the table of predictions" if isinstance(source, pl.DataFrame) else str(source)
    table = (source if isinstance(source, pl.DataFrame) else read_table(Path(source))).rechunk()
    _check_names(table, origin)
    table = texts_and_numbers(table, origin)
    if table.is_empty():
        raise DataError("the table has no rows.", where=origin, fix="give one row per example.")
    splits = _splits(table, origin)
    columns: dict[str, pl.Series] = {name: _number(table, name, origin) for name in NUMBERS if name in table.columns}
    if "error" in columns:
        unit = SHARE if bool(columns["error"].is_in([0.0, 1.0]).all()) else ""
        for name in ("target", "prediction"):
            columns[name] = table[name] if name in table.columns else pl.Series(name, [None] * len(table), pl.String)
    else:
        unit, found = _errors(table, origin)
        columns |= found
    chances = {name: _number(table, name, origin) for name in table.columns if name.startswith("p.")}
    rows = pl.DataFrame(
        {
            "id": _ids(table, splits, origin),
            "source": table["source"].cast(pl.String)
            if "source" in table.columns
            else pl.repeat("", len(table), eager=True),
            "target": columns["target"],
            "prediction": columns["prediction"],
            "error": columns["error"],
            "weight": columns.get("weight", pl.repeat(1.0, len(table), eager=True)),
            "loss": columns.get("loss", pl.repeat(None, len(table), dtype=pl.Float64, eager=True)),
            "confidence": columns.get("confidence", pl.repeat(None, len(table), dtype=pl.Float64, eager=True)),
            "group": _text(table, "group"),
            **{name: _text(table, name) for name in table.columns if name.startswith("tag.")},
            **_normalised(chances),
            **{name: table[name] for name in OF_PLACES if name in table.columns},
        }
    )
    present = set(splits.to_list())
    parts = {split: rows.filter(splits == split) for split in ("human", *SPLITS) if split in present}
    if "error" not in table.columns and _are_places(rows):
        return {split: judged_places(split, part) for split, part in parts.items()}
    return {split: Evaluation(split, unit, part) for split, part in parts.items()}


def _are_places(rows: pl.DataFrame) -> bool:
    return box_table.is_boxes(rows) or mask_table.is_masks(rows) or span_table.is_spans(rows)


def leaked_ids(evaluations: Mapping[str, Evaluation]) -> dict[str, list[str]]:
    """Ids that dev, test or train_dev share with train, by split, for `diagnose(leaked=...)`.

    Ids that are row numbers are ignored: they restart in every split and say nothing.
    """
    train = evaluations.get("train")
    if train is None or train.table["id"].dtype != pl.String:
        return {}
    known = train.table["id"]
    found = {
        split: evaluations[split].table["id"].filter(evaluations[split].table["id"].is_in(known.to_list())).to_list()
        for split in ("train_dev", "dev", "test")
        if split in evaluations and evaluations[split].table["id"].dtype == pl.String
    }
    return {split: ids for split, ids in found.items() if ids}


def read_table(path: Path) -> pl.DataFrame:
    """CSV cells stay text until a rule in this file turns them into numbers."""
    fix = "give the path of a Parquet or CSV file."
    if not path.is_file():
        raise DataError("this is not a file." if path.exists() else "there is no such file.", where=str(path), fix=fix)
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            num_rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
            if num_rows > MOST_ROWS:
                raise DataError(f"it would unpack to {num_rows:,} rows.", where=str(path), fix="give fewer rows.")
            return pl.read_parquet(path, glob=False)  # * and [ in a name would lead to other files
        with path.open("rb") as file:
            if b"\0" in file.read(4096):
                raise DataError("this is not a text table.", where=str(path), fix="give a Parquet or CSV file.")
        _check_rows(path)
        table = pl.read_csv(path, infer_schema=False, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, csv.Error) as error:
        first = str(error).strip().partition("\n")[0]
        raise DataError(
            f"the file cannot be read: {first}.",
            where=str(path),
            fix="give a Parquet file, or a CSV file with commas, a header and full rows.",
        ) from None
    return table.select(
        pl.when(pl.col(name) == "").then(None).otherwise(pl.col(name)).alias(name) for name in table.columns
    )


def column_names(path: Path) -> list[str]:
    """The names in a table's header; none if it cannot be read."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return list(pl.read_parquet_schema(path))
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            return next(csv.reader(file), [])
    except (pl.exceptions.PolarsError, csv.Error, OSError):
        return []


def _check_rows(path: Path) -> None:
    """Raise DataError for a row with fewer cells than the header, which polars fills up, or with more."""
    data = path.read_bytes()
    if b'"' in data:
        lines = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
        width = len(next((line for line in lines if line), ()))
        wrong = next(((lines.line_num, len(line)) for line in lines if line and len(line) != width), None)
    else:
        codes = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", np.uint8)
        ends, commas = np.flatnonzero(codes == ord("\n")), np.flatnonzero(codes == ord(","))
        widths = np.diff(np.searchsorted(commas, ends), prepend=0) + 1
        lengths = np.diff(ends, prepend=-1) - 1 - (codes[np.maximum(ends - 1, 0)] == ord("\r"))
        width = int(widths[np.argmax(lengths > 0)])
        places = np.flatnonzero((widths != width) & (lengths > 0))
        wrong = (int(places[0]) + 1, int(widths[places[0]])) if len(places) else None
    if wrong is not None:
        line, cells = wrong
        raise DataError(
            f"the row has {cells} cell{'s' * (cells != 1)}, the header {width}.",
            where=f"{path} line {line}",
            fix="complete the row, or remove it." if cells < width else "put quotes around cells that hold commas.",
        )


def texts_and_numbers(table: pl.DataFrame, origin: str) -> pl.DataFrame:
    """The table with categories, dates and times as texts. Raises DataError naming a column of any other type."""
    texts = []
    for name, dtype in table.schema.items():
        if dtype in (pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Time):
            texts.append(name)
        elif not (dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Null)):
            raise DataError(
                f"the column {name!r} has the type {dtype}.", where=origin, fix="use text, numbers or booleans."
            )
        if dtype in (pl.Date, pl.Datetime):
            years = table[name].dt.year()  # None for what is beyond all calendars: polars panics where it writes these
            is_beyond = table[name].is_not_null() & ~years.is_between(1, 9999).fill_null(value=False)
            if is_beyond.any():
                row = int(is_beyond.arg_max() or 0)
                what = "a date outside the years 1 to 9999."
                raise DataError(what, where=f"{origin}, column {name!r}, row {row + 1}", fix="correct this cell.")
    return table.with_columns(pl.col(texts).cast(pl.String))


def _check_forms(pair: Mapping[str, pl.Series], origin: str) -> None:
    """Raise DataError where all targets are numbers and no prediction is, or the other way round: two forms of one."""
    numeric = {
        name: column.drop_nulls().unique().cast(pl.String).cast(pl.Float64, strict=False).is_not_null()
        for name, column in pair.items()
    }
    target, prediction = numeric["target"], numeric["prediction"]
    if (target.all() and not prediction.any()) or (prediction.all() and not target.any()):
        shown = " and ".join(f"{name} {str(column[0])!r}" for name, column in pair.items())
        raise DataError(
            f"targets and predictions are written in two ways: {shown}, for instance.",
            where=f"{origin}, row 1",
            fix="write both as numbers, or both as names.",
        )


def _check_names(table: pl.DataFrame, origin: str) -> None:
    needed = ("split",) if "error" in table.columns else REQUIRED
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise DataError(
            f"the column {missing[0]!r} is missing; the column{'s are' if table.width > 1 else ' is'} "
            f"{', '.join(map(repr, table.columns))}.",
            where=origin,
            fix="separate the columns by commas."
            if table.width == 1
            else "name the columns split, target, prediction (or error).",
        )
    for name in table.columns:
        if name not in REQUIRED + OPTIONAL + OF_PLACES and not name.startswith(PREFIXES):
            near = difflib.get_close_matches(name, REQUIRED + OPTIONAL, n=1)
            hint = f"name it {near[0]!r}, or " if near else ""
            raise DataError(
                f"unknown column {name!r}.",
                where=origin,
                fix=f"{hint}name it 'tag.{name}' to see errors by it, or leave it out.",
            )


def _splits(table: pl.DataFrame, origin: str) -> pl.Series:
    given = table["split"].cast(pl.String).str.to_lowercase()
    named = given.replace_strict(SPLIT_NAMES, default=None, return_dtype=pl.String)
    bad = named.is_null().arg_max()
    if named.is_null().any() and bad is not None:
        raise _bad_cell("split", bad, table["split"][bad], origin, "train, train-dev, dev, test or human")
    return named


def _number(table: pl.DataFrame, name: str, origin: str) -> pl.Series:
    """Float64; nulls only where they mean unknown."""
    numbers = table[name].cast(pl.Float64, strict=False)
    is_chance = name == "confidence" or name.startswith("p.")
    high = 1.0 + ROUNDED if is_chance else LARGEST_FLOAT
    good = numbers.is_finite() & (numbers >= 0) & (numbers <= high)
    if name == "loss":
        good = numbers.abs() <= LARGEST_FLOAT
    may_miss = name in ("loss", "confidence")
    good = good.fill_null(False) | (table[name].is_null() if may_miss else pl.repeat(False, len(table), eager=True))
    if not good.all():
        bad = int((~good).arg_max() or 0)
        expected = (
            "a number from 0 to 1"
            if is_chance
            else f"a number of at most {LARGEST_FLOAT:g}"
            if (numbers[bad] or 0) > LARGEST_FLOAT
            else "a finite number" + ("" if name == "loss" else " of at least 0")
        )
        raise _bad_cell(name, bad, table[name][bad], origin, expected)
    return numbers.clip(upper_bound=1.0) if is_chance else numbers


def _normalised(chances: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
    """Rows that sum to 1 up to rounding, divided by their sum; others may lack some of the classes, and stay."""
    if len(chances) < 2:
        return dict(chances)
    total = pl.DataFrame(chances).sum_horizontal()
    divisor = pl.select(pl.when((total - 1).abs() <= OFF).then(total).otherwise(1.0)).to_series()
    return {name: column / divisor for name, column in chances.items()}


def _errors(table: pl.DataFrame, origin: str) -> tuple[str, dict[str, pl.Series]]:
    """Unit, and the columns target, prediction and error."""
    pair = {name: table[name] for name in ("target", "prediction")}
    for name, column in pair.items():
        missing = column.is_null() | (
            column.is_nan() if column.dtype.is_float() else pl.repeat(False, len(column), eager=True)
        )
        if missing.any():
            bad = int(missing.arg_max() or 0)
            raise _bad_cell(name, bad, column[bad], origin, "a value in every row")
    if _is_measure(pair["target"], pair["prediction"]):
        numbers = {name: _finite(table, name, origin) for name in pair}
        return "", numbers | {"error": (numbers["prediction"] - numbers["target"]).abs()}
    _check_forms(pair, origin)
    names = {name: column.cast(pl.String) for name, column in pair.items()}
    return SHARE, names | {"error": (names["prediction"] != names["target"]).cast(pl.Float64)}


def _is_measure(target: pl.Series, prediction: pl.Series) -> bool:
    """Both numbers, and not all whole."""
    whole = []
    for column in (target, prediction):
        if column.dtype == pl.String:
            if column.cast(pl.Float64, strict=False).null_count():
                return False
            whole.append(bool(column.str.contains(WHOLE).all()))
        elif column.dtype.is_numeric():
            whole.append(not column.dtype.is_float())
        else:
            return False
    return not all(whole)


def _finite(table: pl.DataFrame, name: str, origin: str) -> pl.Series:
    numbers = table[name].cast(pl.Float64)
    good = numbers.abs() <= LARGEST_FLOAT
    if not good.all():
        bad = int((~good).arg_max() or 0)
        raise _bad_cell(name, bad, table[name][bad], origin, f"a finite number of at most {LARGEST_FLOAT:g}")
    return numbers


def _ids(table: pl.DataFrame, splits: pl.Series, origin: str) -> pl.Series:
    if "id" not in table.columns:
        return pl.Series("id", range(len(table)), dtype=pl.UInt64)
    ids = table["id"]
    if ids.null_count():
        raise _bad_cell("id", int(ids.is_null().arg_max() or 0), None, origin, "an id in every row")
    twice = pl.DataFrame({"split": splits, "id": ids}).is_duplicated()
    if twice.any():
        bad = int(twice.arg_max() or 0)
        raise DataError(
            f"the id {str(ids[bad])!r} appears more than once in {splits[bad]}.",
            where=f"{origin}, column 'id', row {bad + 1}",
            fix="give each example of a split one row.",
        )
    are_numbers = ids.dtype.is_integer() and (ids.min() or 0) >= 0 and (ids.max() or 0) < 2**63  # type: ignore[operator]
    return ids.cast(pl.UInt64) if are_numbers else ids.cast(pl.String)


def _text(table: pl.DataFrame, name: str) -> pl.Series:
    if name not in table.columns:
        return pl.repeat(None, len(table), dtype=pl.String, eager=True)
    return table[name].cast(pl.String)


def _bad_cell(name: str, row: int, value: object, origin: str, expected: str) -> DataError:
    shown = "nothing" if value is None else repr(value)
    return DataError(
        f"expected {expected}, found {shown}.",
        where=f"{origin}, column {name!r}, row {row + 1}",
        fix="correct this cell; rows are counted from 1 below the header.",
    )
