"""Labels corrected in a review, replacing those that were read; the files are not changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Examples
from gnomon.core.given import read_given
from gnomon.core.spreadsheet import from_csv
from gnomon.data.images.examples import ImageExamples
from gnomon.data.source import display_name, look_alike
from gnomon.data.tables.examples import TableExamples


def read_corrections(path: Path) -> dict[str, str | None]:
    """{id: right label, or None if nobody knows it} from the columns id and label of a CSV.

    A ' in front of a text, which keeps spreadsheets from executing it, is removed. Raises DataError naming the line,
    UsageError for what is no regular file, or one of an absurd size.
    """
    where = display_name(str(path))
    fix = "gnomon labels ... corrected=FILE writes one."
    data = read_given(path, missing=DataError("there is no such file.", where=where, fix=fix))
    try:
        names, rows = from_csv(data)
    except (ValueError, UnicodeDecodeError) as error:
        fix = "save it as CSV, UTF-8, with the header id,given,label."
        raise DataError(f"is no table of corrections: {error}.", where=where, fix=fix) from None
    if "label" not in names:
        raise DataError("has not a columns id and label.", where=where, fix="keep the header: id,given,label.")
    found: dict[str, str | None] = {}
    for row in rows:
        if row["id"] in found:
            raise DataError(f"{row['id']!r} appears twice.", where=where, fix="keep one row of it.")
        found[row["id"]] = row["label"] or None
    return found


def relabelled(examples: Examples, labels: Mapping[str, str | None]) -> Examples:
    """The examples with the given labels replaced; one whose right label nobody knows (None) is left out.

    Ids that are not among the examples are ignored: they belong to another split. Raises DataError for examples
    without one class each, or a label that is not one of their classes.
    """
    ids = examples.index["id"].cast(pl.String)
    known = ids.is_in(list(labels))
    if not known.any():
        return examples
    new = ids.replace_strict(list(labels), list(labels.values()), default=None, return_dtype=pl.String)
    unknown = (known & new.is_null()).to_numpy()
    if isinstance(examples, ImageExamples):
        corrected: Examples = _pictures(examples, known, new)
    elif isinstance(examples, TableExamples) and len(examples.target_names) == 1:
        corrected = _rows(examples, known, new)
    else:
        raise DataError("corrections need one class per example.", fix="correct the data itself.")
    return corrected.take(np.flatnonzero(~unknown)) if unknown.any() else corrected


def _pictures(examples: ImageExamples, known: pl.Series, new: pl.Series) -> ImageExamples:
    classes = examples.table["label"].drop_nulls().unique().to_list()
    _check(new, classes)
    label = pl.DataFrame({"old": examples.table["label"], "new": new, "known": known}).select(
        pl.when(pl.col("known") & pl.col("new").is_not_null()).then("new").otherwise("old").alias("label")
    )["label"]
    return replace(examples, table=examples.table.with_columns(label, label.alias("stratum")))


def _rows(examples: TableExamples, known: pl.Series, new: pl.Series) -> TableExamples:
    name = examples.target_names[0]
    column = examples.table.frame[name]
    if not isinstance(column.dtype, pl.Enum):
        raise DataError("the target is a number, not a class.", where=name, fix="correct the data itself.")
    _check(new, column.dtype.categories.to_list())
    texts = column.cast(pl.String).to_list()
    positions = np.arange(len(column)) if examples.positions is None else examples.positions
    for place in np.flatnonzero(known.to_numpy()):
        label = new[int(place)]
        if label is not None:
            texts[int(positions[place])] = label
    corrected = pl.Series(name, texts, dtype=column.dtype)
    table = replace(examples.table, frame=examples.table.frame.with_columns(corrected))
    return replace(examples, table=table, stratum=None if examples.stratum is None else corrected)


def _check(new: pl.Series, classes: list[str]) -> None:
    strange = sorted(set(new.drop_nulls().to_list()) - set(classes))
    if strange:
        how = look_alike(strange[0], classes)
        raise DataError(
            f"{strange[0]!r} is not a class; the classes are {', '.join(sorted(classes)[:10])}"
            f"{f' ({how})' if how else ''}.",
            fix="correct the corrections.",
        )
