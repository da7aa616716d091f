"""Labels corrected in a review, replacing those that were read; the files are not changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Examples
from gnomon.core.given import read_given
from gnomon.core.spreadsheet import from_csv
from gnomon.data.source import display_name, look_alike


def read_corrections(path: Path) -> dict[str, str | None]:
    """{id: right label, or None if nobody knows it} from the columns id and label of a CSV.

    A ' in front of a text, which keeps spreadsheets from executing it, is removed. Raises DataError naming the line,
    UsageError for anything but a regular file, or one of an absurd size.
    """
    where = display_name(str(path))
    fix = "gnomon labels ... corrected=FILE writes one."
    data = read_given(path, missing=DataError("there is no such file.", where=where, fix=fix))
    try:
        names, rows = from_csv(data)
    except (ValueError, UnicodeDecodeError) as error:
        fix = "save it as CSV, UTF-8, with the header id,given,label."
        raise DataError(f"is not a table of corrections: {error}.", where=where, fix=fix) from None
    if "label" not in names:
        raise DataError("the columns id and label are missing.", where=where, fix="keep the header: id,given,label.")
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
    label = examples.index["label"]
    if label.null_count() < len(label):
        _check(new, label.dtype.categories if isinstance(label.dtype, pl.Enum) else label.drop_nulls())
    corrected = examples.with_labels(new.fill_null(label.cast(pl.String)))
    return corrected.take(np.flatnonzero(~unknown)) if unknown.any() else corrected


def _check(new: pl.Series, classes: pl.Series) -> None:
    strange = sorted(set(new.drop_nulls()) - set(classes))
    if strange:
        how = look_alike(strange[0], classes.to_list())
        raise DataError(
            f"{strange[0]!r} is not a class; the classes are {', '.join(sorted(set(classes))[:10])}"
            f"{f' ({how})' if how else ''}.",
            fix="correct the labels in that file.",
        )
