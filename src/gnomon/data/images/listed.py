"""Pictures listed in a table: a column of file names, and beside it one or several columns of classes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import BadInput, Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.images.class_folders import check_bad, least_side, remarks
from gnomon.data.images.decoding import is_picture_name
from gnomon.data.images.examples import ImageExamples, same_picture_twice
from gnomon.data.images.stores import Scan, scan
from gnomon.data.images.whites import Whites
from gnomon.data.labels import check_classes, label_type
from gnomon.data.source import display_name, first_names
from gnomon.data.tables import Table, class_targets, class_texts, peek_table, read_table, target_names
from gnomon.data.trees import FilesTree

USUAL_NAMES = ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "img", "picture", "photo")


def looks_like_list(path: str, settings: DataSettings) -> tuple[float, str, int]:
    """How certain it is (0 .. 1), from the first rows, that a table lists pictures; why; the number of targets."""
    table = peek_table(path, settings)
    column = file_column(table)
    if column is None:
        return 0.0, "no column of pictures' file names", 0
    targets = _targets(table, settings, column)
    what = f"classes in {first_names(targets)}" if targets else "no column of classes chosen"
    return 0.95, f"a table that lists pictures ({display_name(column)}), {what}", len(targets)


def file_column(table: Table) -> str | None:
    """The column that names pictures: the one with a usual name, else the first."""
    found = [name for name in table.frame.columns if _names_pictures(table.frame[name])]
    return next((name for name in found if name.strip().lower() in USUAL_NAMES), found[0] if found else None)


def _names_pictures(column: pl.Series) -> bool:
    if column.dtype != pl.String and not isinstance(column.dtype, pl.Enum):
        return False
    cells = column.drop_nulls().cast(pl.String)
    return len(cells) > 0 and all(is_picture_name(cell) for cell in cells.head(100))


def _not_pictures(table: Table) -> DataError:
    return DataError(
        "this is a table, not pictures: no column names picture files.", where=table.origin,
        fix="give pictures (a folder or an archive), or a table with a column of their file names.",
    )  # fmt: skip


def _targets(table: Table, settings: DataSettings, column: str) -> tuple[str, ...]:
    """The columns of classes: as set, by their usual names, or the only other column there is."""
    names = [name for name in table.frame.columns if name not in (column, settings.group, settings.time)]
    found = target_names(table.frame.columns, settings)
    return found or (tuple(names) if len(names) == 1 else ())


def read_listed(path: str, settings: DataSettings, *, several: bool) -> Reading:
    """Every listed picture that can be read, with its classes, under the key "all".

    With `several` targets any of them may be missing. Raises UsageError where no target is chosen, DataError naming
    lines for files that are not there, classes that cannot be learned, and files listed twice.
    """
    table = read_table(path, settings)
    column = file_column(table)
    if column is None:
        raise _not_pictures(table)
    names = _targets(table, settings, column)
    if not names:
        others = [name for name in table.frame.columns if name != column]
        raise UsageError(
            f"which column holds the classes is not given; the columns are {first_names(others, 20)}.",
            where=table.origin, fix=f"set target=COLUMN, for example target={display_name((others or [column])[-1])}.",
        )  # fmt: skip
    targets, notes = class_targets(table, names)
    found, rows, bad, about = _scanned(path, table, column, settings)
    labels = {target.name: class_texts(table.frame[target.name]).cast(pl.String).gather(rows) for target in targets}
    index = _index(table, column, settings, rows, labels)
    types = {name: label_type(table.frame[name]) for name in labels}
    whole = ImageExamples.of(found.store, found.readable, index)
    whole = replace(whole, label_types=types) if several else replace(whole, label_type=types[names[0]])
    if several:
        known = pl.any_horizontal(*(pl.col(f"target.{name}").is_not_null() for name in labels))
        kept = index.select(known).to_series().arg_true().to_numpy()
        if len(kept) < len(index):
            notes.append(f"pictures without any class, left out: {len(index) - len(kept):,}")
        whole = whole.take(kept)
    else:
        notes += check_classes(dict(Counter(index["label"].to_list())), table.origin)
        notes += same_picture_twice(whole)
    return Reading({"all": whole}, (*table.notes, *notes, *about), bad)


def read_listed_to_predict(path: str, settings: DataSettings, whites: Whites) -> Reading:
    """Every listed picture on the scale of the training set, without classes, under the key "all"."""
    table = read_table(path, settings)
    column = file_column(table)
    if column is None:
        raise _not_pictures(table)
    found, rows, bad, about = _scanned(path, table, column, settings, whites)
    index = index_frame([display_name(name) for name in table.frame[column].cast(pl.String).gather(rows)])
    return Reading({"all": ImageExamples.of(found.store, found.readable, index)}, about, bad)


def _scanned(
    path: str, table: Table, column: str, settings: DataSettings, whites: Whites | None = None
) -> tuple[Scan, np.ndarray, tuple[BadInput, ...], tuple[str, ...]]:
    """Every listed picture decoded once: the scan, the rows of those that can be read, the others, and remarks."""
    cells, folder = table.frame[column].cast(pl.String), Path(path).parent
    paths = [None if cell is None else os.path.join(folder, cell) for cell in cells]  # noqa: PTH118
    _refuse_twice(table, cells)
    there = [row for row, one in enumerate(paths) if one is not None and os.path.isfile(one)]  # noqa: PTH113
    gone = sorted(set(range(len(paths))) - set(there))
    missing = []
    for row in gone:
        why = "no file is named" if cells[row] is None else f"{display_name(cells[row])} is not there"
        missing.append(BadInput(f"{table.origin} {table.where([row])}", why))
    check_bad(missing, len(paths), table.origin, settings)
    tree = FilesTree([str(paths[row]) for row in there])
    found = scan(tree, tree.files, max_pixels=settings.max_pixels, least_side=least_side(settings), whites=whites)
    bad = (*missing, *found.bad)
    check_bad(bad, len(paths), table.origin, settings)
    return found, np.array(there)[found.readable], bad, tuple(remarks(found))


def _refuse_twice(table: Table, cells: pl.Series) -> None:
    again = cells.is_duplicated() & cells.is_not_null()
    if again.any():
        name = cells.filter(again)[0]
        rows = (cells == name).arg_true().to_numpy()
        raise DataError(
            f"{display_name(name)} is listed {len(rows)} times: {table.where(rows)}.",
            where=table.origin, fix="list each picture once, with all its classes in one row.",
        )  # fmt: skip


def _index(
    table: Table, column: str, settings: DataSettings, rows: np.ndarray, labels: Mapping[str, pl.Series]
) -> pl.DataFrame:
    """As `Examples.index`; several targets are columns target.NAME."""
    ids = [display_name(name) for name in table.frame[column].cast(pl.String).gather(rows)]
    first = next(iter(labels.values()))
    label = first.to_list() if len(labels) == 1 else None
    group = None if settings.group is None else table.frame[settings.group].cast(pl.String).gather(rows).to_list()
    index = index_frame(ids, label=label, stratum=first.to_list(), group=group)
    if settings.time is not None:
        index = index.with_columns(table.frame[settings.time].gather(rows).alias("time"))
    if len(labels) > 1:
        index = index.with_columns([one.alias(f"target.{name}") for name, one in labels.items()])
    return index
