"""Tables: how rows are read for different kinds of targets, and how their columns become tensors."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError, GnomonError, UsageError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import TableInputs
from gnomon.core.knobs import COLUMNS, GROUPS, NUMBERS
from gnomon.core.parts import Batch, Claim, Encoder, PlainInputs, Reader, View
from gnomon.core.settings import DataSettings, Settings
from gnomon.data.columns import Columns, gather
from gnomon.data.features import Feature, encode_features, fit_features, kinds_of, number_names, unlike_training
from gnomon.data.labels import named
from gnomon.data.source import Arrays, Source, display_name, first_names
from gnomon.data.splits import own_splits
from gnomon.data.tables import (
    Table,
    TableExamples,
    TargetPlan,
    located,
    make_mixed_table,
    one_class_each,
    peek_table,
    plan_targets,
    read_split_tables,
    read_table,
    split_files,
    table_from_frame,
    why_not_one_hot,
    with_number_targets,
)
from gnomon.data.tables.raw import quoted
from gnomon.runs.writer import write_bytes

TABLE_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq")
Form = Literal["classification", "regression"]


@final
@dataclass(frozen=True)
class TableReader(Reader):
    """Rows of a table whose targets have one of the forms that `planned_form` distinguishes.

    `wrong_kind` is a kind of target that this reader refuses ("classes" or "number"), and `refusal` what to do then.
    `sample` are columns of the sample table and their names there, including the target; `splits`: as
    train.csv and dev.csv.
    """

    abilities: ClassVar[frozenset[str]] = frozenset({COLUMNS, GROUPS})

    forms: tuple[str, ...]
    reads_as: Form | None  # how an ambiguous target is interpreted; None: as it looks
    sample: tuple[tuple[str, str], ...]
    wrong_kind: str = ""
    refusal: str = ""
    splits: bool = False

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        if not is_table(source):
            return None
        form, why = planned_form(source, settings)
        if form == "unclear" and self.reads_as == "classification":  # reading it says what is wrong with the table
            return Claim(0.5, why, fault=partial(refuse_unclear, source, settings))
        return Claim(0.9 if form in self.forms else 0.1, why)

    def read(self, source: Source, settings: DataSettings) -> Reading:
        reading, plan = read_planned(source, settings, self.reads_as)
        wrong = [target.name for target in plan.targets if target.kind == self.wrong_kind]
        if wrong:
            other = "numbers" if self.wrong_kind == "classes" else "classes"
            held = "classes" if self.wrong_kind == "classes" else "numbers"
            raise DataError(
                f"the target {wrong[0]!r} holds {held}, not {other}.", where=source.origin, fix=self.refusal
            )
        return reading

    def read_inputs(self, source: Source, settings: DataSettings, encoder: TableEncoder) -> Reading:
        """Rows to predict: the columns the model was trained on must be there, targets need not."""
        return read_inputs(source, settings, encoder.features)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Houses: area, rooms, garden, city, year; the target is the price, its level, or whether it sold."""
        if not self.splits:
            path = folder / "houses.csv"
            write_sample(path, seed, dict(self.sample))
            return path
        for split in ("train", "dev"):
            write_sample(folder / f"{split}.csv", seed + (split == "dev"), dict(self.sample))
        return folder

    def view(self, example: Example) -> View:
        return View(fields={name: _shown(value) for name, value in example.inputs.items()})


@final
@dataclass(frozen=True)
class TableEncoder(Encoder):
    """Numbers in standard deviations from their mean, categories as codes."""

    abilities: ClassVar[frozenset[str]] = frozenset({NUMBERS})
    references: ClassVar[tuple[str, ...]] = ("linear model", "nearest neighbours", "boosted trees", "random forest")

    features: tuple[Feature, ...]

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(TableExamples, train)
        return cls(fit_features(examples, examples.feature_names, kinds=examples.table.kinds)[0])

    @property
    def inputs(self) -> TableInputs:
        sizes = tuple(len(feature.categories) + 1 for feature in self.features if feature.kind == "category")
        edges = [
            each
            for feature in self.features
            if feature.kind != "category"
            for each in ((feature.edges, ()) if feature.has_missing else (feature.edges,))
        ]
        return TableInputs(len(number_names(self.features)), sizes, tuple(edges))

    def notes(self, train: Examples) -> tuple[str, ...]:
        """What is imputed and what is left out, from the fit on the training split."""
        examples = cast(TableExamples, train)
        numbers = [f"{f.name} ({f.fill:.4g})" for f in self.features if f.has_missing and f.kind != "category"]
        categories = [f.name for f in self.features if f.has_missing and f.kind == "category"]
        kept = {feature.name for feature in self.features}
        left_out = [_with_a_cell(examples, name) for name in examples.feature_names if name not in kept]
        sentences = {
            "missing numbers are filled with the median of train and marked as missing": numbers,
            "a missing category counts as a category of its own": categories,
            "dropped: free text, or the same value in all of train": left_out,
        }
        return tuple(f"{sentence}: {first_names(names, 8)}" for sentence, names in sentences.items() if names)

    def input_kinds(self) -> str:
        """How many columns of each kind the model reads, and which; of many, the first."""
        words = {"number": "number", "boolean": "yes-or-no", "category": "category", "date": "date"}
        found = []
        for kind, word in words.items():
            names = [feature.name for feature in self.features if feature.kind == kind]
            if names:
                many = {"category": "categories", "boolean": "yes-or-no"}.get(kind, f"{word}s")
                found.append(f"{len(names):,} {word if len(names) == 1 else many} ({first_names(names, 4)})")
        return " · ".join(found)

    def encode(self, examples: Examples) -> Columns:
        """numbers (N, D) float32 and, if there are categories, their codes (N, C) int64."""
        rows = cast(TableExamples, examples)
        numbers, codes = encode_features(rows, self.features, ids=rows.index["id"])
        columns = {"numbers": torch.from_numpy(numbers)}
        return {**columns, "categories": torch.from_numpy(codes)} if codes.shape[1] else columns

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        return gather(columns, indices)

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["numbers"], batch.get("categories")

    def plain_inputs(self, columns: Columns) -> PlainInputs:
        numbers = cast(Tensor, columns["numbers"]).cpu().numpy()
        none = np.empty((len(numbers), 0), np.int64)
        codes = cast(Tensor, columns["categories"]).cpu().numpy() if "categories" in columns else none
        categories = tuple(feature.name for feature in self.features if feature.kind == "category")
        return PlainInputs(numbers, codes, (*number_names(self.features), *categories))

    def with_numbers(self, columns: Columns, numbers: np.ndarray) -> Columns:
        return {**columns, "numbers": torch.from_numpy(numbers)}

    def seen(self, view: View) -> View:
        kept = {feature.name for feature in self.features}
        return replace(view, fields={name: value for name, value in view.fields.items() if name in kept})


def _with_a_cell(examples: TableExamples, name: str) -> str:
    """The name of a column that is left out; for text with its first cell, which may show why."""
    column = examples.get_column(name)
    present = column.drop_nulls()
    return f"{name} (such as {quoted(present[0])})" if len(present) and column.dtype in (pl.String, pl.Enum) else name


def is_table(source: Source) -> bool:
    """Whether the source is rows and columns, without reading any."""
    if source.tree is not None:
        return split_files(source.tree) is not None or _only_table(source) is not None
    if source.arrays is not None:
        return source.arrays.inputs.ndim <= 2
    return source.table is not None or source.frame is not None


def planned_form(source: Source, settings: DataSettings) -> tuple[str, str]:
    """As `_planned_form`; several tasks ask for it one after the other, and a wide table takes its time."""
    global _planned
    if _planned is None or _planned[0]() is not source or _planned[1] != settings:
        _planned = weakref.ref(source), settings, _planned_form(source, settings)
    return _planned[2]


_planned: tuple[weakref.ref[Source], DataSettings, tuple[str, str]] | None = None  # what was asked for last


def _planned_form(source: Source, settings: DataSettings) -> tuple[str, str]:
    """The kind of targets in the table, judging from its first rows, and why: "classification", "regression", "several
    classes", "several numbers", or "unclear" when reading it will say what is wrong."""
    try:
        table, settings = _peeked(source, settings)
        plan = plan_targets(table, settings)
    except GnomonError:
        return "unclear", f"a table: {source.origin}"
    targets = ", ".join(target.name for target in plan.targets)
    why = f"a table of {len(plan.features)} usable columns to predict {targets}"
    kinds = {target.kind for target in plan.targets}
    if kinds == {"classes"} and len(plan.targets) > 1 and not why_not_one_hot(table, [t.name for t in plan.targets]):
        return "classification", f"{why} (one class each, one-hot)"
    if plan.form != "several":
        kind = "classes" if plan.form == "classification" else "a number"
        return plan.form, f"{why} ({kind})"
    return ("several classes" if kinds == {"classes"} else "several numbers" if kinds == {"number"} else "unclear"), why


def refuse_unclear(source: Source, settings: DataSettings) -> None:
    """Raise what is wrong with a table whose first rows do not show what it is for."""
    plan = read_planned(source, settings, None)[1]
    kinds = {target.name: target.kind for target in plan.targets}
    if len(set(kinds.values())) > 1:
        number, classes = (next(name for name in kinds if kinds[name] == kind) for kind in ("number", "classes"))
        raise DataError(
            f"the targets are of two kinds: {quoted(number)} is a number, {quoted(classes)} holds classes.",
            where=source.origin,
            fix="predict numbers and classes in two runs.",
        )
    if plan.form == "regression":
        raise DataError(
            f"the target {quoted(plan.targets[0].name)} looks like classes in the first rows, like a number in all.",
            where=source.origin,
            fix="use task=tabular_regression, or task=tabular_classification.",
        )


def read_planned(source: Source, settings: DataSettings, form: Form | None) -> tuple[Reading, TargetPlan]:
    """All rows with their targets. Raises DataError, UsageError."""
    if source.tree is not None and split_files(source.tree) is not None:
        reading, plan = read_split_tables(source.tree, settings, form=form)
        return replace(reading, notes=(*source.notes, *reading.notes)), plan
    table, settings = _whole(source, settings)
    about: tuple[str, ...] = ()
    if form == "regression":
        table = with_number_targets(table)
    if form == "classification":
        parts, settings, about = one_class_each({"all": table}, settings)
        table = parts["all"]
    try:
        plan = plan_targets(table, settings, form=form)
    except GnomonError:
        plan_targets(table, settings)  # faults that do not depend on the task come first
        raise
    notes = (*source.notes, *table.notes, *about, *plan.notes)
    sizes = () if source.arrays is None else source.arrays.splits
    return Reading(own_splits(TableExamples.planned(table, plan), sizes), notes), plan


def read_inputs(source: Source, settings: DataSettings, features: Sequence[Feature]) -> Reading:
    """Rows to predict: the columns the model was trained on must be there, targets need not."""
    kinds = kinds_of(features)
    plain = settings.model_copy(update={"target": None, "group": None, "time": None, "ignore": ()})
    if source.arrays is not None:
        frame = _inputs_frame(source.arrays)
        table = table_from_frame(frame, plain, origin=source.origin, kinds=kinds, only_kinds=True)
    elif source.frame is not None:
        table = table_from_frame(source.frame, plain, origin=source.origin, kinds=kinds, only_kinds=True)
    elif source.tree is not None and split_files(source.tree) is not None:
        return _split_inputs(source, plain, features)
    else:
        path, content = _located(source)
        table = read_table(path, plain, content=content, kinds=kinds, only_kinds=True)
    examples = TableExamples.to_predict(table, tuple(feature.name for feature in features))
    alarms, notes = unlike_training(examples, features, table.where)
    return Reading({"all": examples}, (*notes, *source.notes, *table.notes), alarms=alarms)


def _split_inputs(source: Source, settings: DataSettings, features: Sequence[Feature]) -> Reading:
    """The rows of train, dev and test tables, one after the other, with the ids that training gives them."""
    assert source.tree is not None
    parts: list[TableExamples] = []
    notes: list[str] = list(source.notes)
    for name in split_files(source.tree).values():  # type: ignore[union-attr]  # the caller has seen to that
        path, content = located(source.tree, name)
        table = read_table(path, settings, content=content, kinds=kinds_of(features), only_kinds=True)
        examples = TableExamples.to_predict(table, tuple(feature.name for feature in features))
        parts.append(replace(examples, ids=examples.qualified_ids(display_name(name))))
        notes += [note for note in table.notes if note not in notes]
    whole = reduce(TableExamples.join, parts)
    ids = whole.index["id"]
    alarms, about = unlike_training(whole, features, lambda rows: first_names([str(ids[int(row)]) for row in rows]))
    return Reading({"all": whole}, (*about, *notes), alarms=alarms)


def _peeked(source: Source, settings: DataSettings) -> tuple[Table, DataSettings]:
    if source.tree is not None:
        files = split_files(source.tree)
        if files is not None:
            train, content = located(source.tree, files["train"])
            return peek_table(train, settings, content=content), settings
        path, content = _located(source)
        return peek_table(path, settings, content=content), settings
    if source.table is not None:
        return peek_table(source.table, settings), settings
    return _whole(source, settings)


def _whole(source: Source, settings: DataSettings) -> tuple[Table, DataSettings]:
    if source.arrays is not None:
        frame, targets = _labelled_frame(source.arrays, source.origin)
        settings = settings if settings.target else settings.model_copy(update={"target": targets})
        return table_from_frame(frame, settings, origin=source.origin), settings
    if source.frame is not None:
        if source.targets and not settings.target:
            settings = settings.model_copy(update={"target": source.targets})
        return table_from_frame(source.frame, settings, origin=source.origin), settings
    path, content = _located(source)
    return read_table(path, settings, content=content), settings


def _only_table(source: Source) -> str | None:
    """The one table of a folder or archive with nothing else in it that could be data."""
    if source.tree is None:
        return None
    tables = [file.name for file in source.tree.files if file.name.lower().endswith(TABLE_ENDINGS)]
    return tables[0] if len(tables) == 1 and len(source.tree.files) <= 3 else None


def _located(source: Source) -> tuple[str | Path, bytes | None]:
    if source.table is not None:
        return source.table, None
    name = _only_table(source)
    if source.tree is None or name is None:
        raise DataError("this is not a table.", where=source.origin, fix="give a CSV, TSV or Parquet file.")
    return located(source.tree, name)


def _inputs_frame(arrays: Arrays) -> pl.DataFrame:
    inputs = arrays.inputs.reshape(len(arrays.inputs), -1)
    names = arrays.feature_names or tuple(f"x{i}" for i in range(inputs.shape[1]))
    return pl.DataFrame(np.ascontiguousarray(inputs), schema=list(names), orient="row")


def _labelled_frame(arrays: Arrays, origin: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Inputs and targets as one frame; integer classes with known names become those names."""
    if arrays.targets is None:
        raise UsageError("there are inputs but no targets.", where=origin, fix="give (X, y).")
    targets = arrays.targets.reshape(len(arrays.targets), -1)
    default = ("target",) if targets.shape[1] == 1 else tuple(f"target {i}" for i in range(targets.shape[1]))
    if len(arrays.class_names) == targets.shape[1] > 1:
        default = arrays.class_names
    names = arrays.target_names or default
    frame = _inputs_frame(arrays)
    if len(targets) != len(frame):
        raise DataError(f"{len(frame):,} inputs but {len(targets):,} targets.", where=origin, fix="give one for each.")
    columns = []
    for i, name in enumerate(names):
        column = pl.Series(name, targets[:, i])
        if arrays.class_names and len(names) == 1 and column.dtype.is_integer():
            column = pl.Series(name, named(targets[:, i], arrays.class_names, origin))
        columns.append(column.fill_nan(None) if column.dtype.is_float() else column)
    return frame.with_columns(columns), tuple(names)


def _shown(value: Any) -> str:
    if value is None:
        return "(missing)"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write_sample(path: Path, seed: int, targets: Mapping[str, str]) -> None:
    """60 rows of mixed columns with gaps; of the possible targets, those in `targets`, under the names given there."""
    frame = make_mixed_table(60, seed)
    others = [name for name in ("price", "level", "sold") if name not in targets]
    write_bytes(path, frame.drop(others).rename(dict(targets)).write_csv().encode())
