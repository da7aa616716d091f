"""Series with one answer each, or with one at every step: tables in long form, arrays of the layout NTD."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, GnomonError, UsageError
from gnomon.core.example import Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.features import Feature, kinds_of, unlike_training
from gnomon.data.labels import check_classes, check_divided, label_type
from gnomon.data.series.arrange import Arranged, Roles, arrange, roles_of
from gnomon.data.series.arrays import as_steps
from gnomon.data.series.examples import SeriesExamples
from gnomon.data.source import Source, counted, display_name
from gnomon.data.splits import own_splits
from gnomon.data.tables import (
    Table,
    TableExamples,
    Target,
    class_texts,
    located,
    peek_table,
    planned_target,
    read_table,
    split_files,
    table_from_frame,
    usable_features,
    with_number_targets,
)
from gnomon.data.tables.examples import stratum_of
from gnomon.data.tables.giveaways import giveaways
from gnomon.data.tables.raw import quoted

Form = Literal["classification", "regression"]
Per = Literal["series", "step"]
WORDS = {"classification": "a class", "regression": "a number"}
ONE_SERIES = "series 1"
AHEAD = 0.99  # share of steps whose target is the next value of a column: then it is that value
LEAST_PAIRS = 20  # steps; among fewer, equal values may be chance


def looks_like_series(source: Source, settings: DataSettings) -> tuple[Form, Per, str] | None:
    """What is to be predicted, and of what, from the first rows of a table or from the shapes of arrays; and why.

    None: it cannot be told. Several tasks ask for it one after the other: the last answer is kept.
    """
    global _looked
    if _looked is None or _looked[0]() is not source or _looked[1] != settings:
        _looked = weakref.ref(source), settings, _looks_like(source, settings)
    return _looked[2]


_looked: tuple[weakref.ref[Source], DataSettings, tuple[Form, Per, str] | None] | None = None


def _looks_like(source: Source, settings: DataSettings) -> tuple[Form, Per, str] | None:
    try:
        (_, table), *_ = _tables(source, settings, is_peek=True)[0]
        roles = roles_of(table.frame.columns, _with_own(source, settings), table.origin)
        if not roles.target:
            return None
        parts = arrange(table, roles)
        per: Per = "step" if len(_changing(parts, roles.target)) else "series"
        asked = parts.table if per == "step" else _one_row_each(parts, roles.target)
        target, _ = planned_target(asked, roles.target, None, is_only=per == "series")
    except GnomonError:
        return None
    form: Form = "classification" if target.kind == "classes" else "regression"
    of_each = "changes with time" if per == "step" else f"is the same in all rows of one {display_name(roles.id)}"
    return form, per, f"rows that are steps of series; {display_name(roles.target)} ({WORDS[form]}) {of_each}"


def read_series(source: Source, settings: DataSettings, form: Form, per: Per) -> Reading:
    """Series with their answers. Raises DataError naming lines or ids, UsageError for settings that contradict it."""
    found, notes = _tables(source, settings, is_peek=False)
    settings = _with_own(source, settings)
    names = found[0][1].frame.columns
    roles = roles_of(names, settings, found[0][1].origin)
    if not roles.target:
        there = ", ".join(map(display_name, names[:20]))
        what = f"it is not clear what is to be predicted; the columns are {there}."
        raise UsageError(what, where=source.origin, fix="set target=COLUMN.")
    parts = []
    for split, table in found:
        one = arrange(with_number_targets(table) if form == "regression" else table, roles)
        parts.append(replace(one, ids=tuple(f"{split}:{name}" for name in one.ids)) if len(found) > 1 else one)
    whole = _together(parts)
    left_out = [] if not source.arrays else ["step"]
    examples, about = _planned(whole, roles, settings, form, per, left_out)
    sizes = source.arrays.splits if source.arrays is not None else ()
    if len(found) > 1:
        sizes = tuple((split, len(part.ids)) for (split, _), part in zip(found, parts, strict=True))
    splits = own_splits(examples, sizes)
    if form == "classification" and per == "series":
        check_divided(splits, source.origin, "series")
        train = splits.get("all") or splits["train"]
        about += check_classes(train.class_counts(), source.origin, "series")
    splits = {name: _answered(part, notes) if per == "step" else part for name, part in splits.items()}
    every = [*source.notes, *notes, *(note for part in parts for note in (*part.table.notes, *part.notes)), *about]
    return Reading(splits, tuple(dict.fromkeys(every)))


def read_series_to_predict(
    source: Source, settings: DataSettings, features: Sequence[Feature], id_name: str, order_name: str
) -> Reading:
    """Series under the key "all": the columns the model was trained on must be there, targets need not."""
    plain = settings.model_copy(update=dict.fromkeys(("target", "group", "time", "id", "order")) | {"ignore": ()})
    found, notes = _tables(source, plain, is_peek=False, kinds=kinds_of(features))
    parts = []
    for split, table in found:
        names, about = table.frame.columns, []
        if id_name not in names:
            about = [f"there is no column {display_name(id_name)}: all rows are one series"]
            table = replace(table, frame=table.frame.with_columns(pl.lit(ONE_SERIES).alias(id_name)))
        roles = Roles(id_name, order_name if order_name in names else "")
        one = arrange(table, roles)
        ids = tuple(f"{split}:{name}" for name in one.ids) if len(found) > 1 else one.ids
        parts.append(replace(one, ids=ids, notes=(*about, *one.notes)))
    whole = _together(parts)
    rows = TableExamples.to_predict(whole.table, tuple(feature.name for feature in features))
    alarms, unlike = unlike_training(rows, features, whole.table.where)
    index = index_frame(whole.ids)
    every = [*unlike, *source.notes, *notes, *(note for part in parts for note in (*part.table.notes, *part.notes))]
    examples = SeriesExamples(rows, whole.starts, whole.ends, index, id_name, order_name)
    return Reading({"all": examples}, tuple(dict.fromkeys(every)), alarms=alarms)


# --- what is read -----------------------------------------------------------------------------------------------------
def _tables(
    source: Source, settings: DataSettings, *, is_peek: bool, kinds: Mapping[str, Any] | None = None
) -> tuple[list[tuple[str, Table]], list[str]]:  # fmt: skip
    """The tables of a source with the names of their splits, "" for one alone; and notes."""
    if source.arrays is not None:
        frame, notes = as_steps(source.arrays, settings.layout, source.origin)
        own = _with_own(source, settings)
        return [("", table_from_frame(frame, own, origin=source.origin, kinds=kinds))], notes
    if source.frame is not None:
        own = _with_own(source, settings)
        return [("", table_from_frame(source.frame, own, origin=source.origin, kinds=kinds))], []
    if source.tree is not None and (files := split_files(source.tree)) is not None:
        found: list[tuple[str, Table]] = []
        for split in ("train", "dev", "test"):
            if split in files and not (is_peek and found):
                path, content = located(source.tree, files[split])
                demanded = kinds if kinds is not None or not found else found[0][1].kinds
                read = peek_table(path, settings, content=content) if is_peek else read_table(
                    path, settings, content=content, kinds=demanded
                )  # fmt: skip
                found.append((split, read))
        return found, []
    if source.table is None:
        raise DataError(
            "this is neither a table nor an array of series.", where=source.origin,
            fix="give a CSV, TSV or Parquet file with a row for each step, or an array with layout=NTD.",
        )  # fmt: skip
    if is_peek:
        return [("", peek_table(source.table, settings))], []
    return [("", read_table(source.table, settings, kinds=kinds))], []


def _with_own(source: Source, settings: DataSettings) -> DataSettings:
    """With the columns that are given away by how the source was passed."""
    if source.arrays is not None:
        target = source.arrays.target_names or ("target",)
        has_target = source.arrays.targets is not None
        return settings.model_copy(update={"id": "series", "order": "step", "target": target if has_target else None})
    if source.targets and not settings.target:
        return settings.model_copy(update={"target": source.targets})
    return settings


def _together(parts: Sequence[Arranged]) -> Arranged:
    """All parts one after the other, in the columns of the first."""
    if len(parts) == 1:
        return parts[0]
    names = parts[0].table.frame.columns
    for part in parts[1:]:
        lacking = [name for name in names if name not in part.table.frame.columns]
        if lacking:
            what = f"it has no column {quoted(lacking[0])}, which {parts[0].table.origin} has."
            raise DataError(what, where=part.table.origin, fix="give all the tables the same columns.")
    plain = [
        part.table.frame.select(names).with_columns(pl.col(pl.Enum).cast(pl.String)) for part in parts
    ]  # fmt: skip
    before = np.cumsum([0, *(len(part.table) for part in parts[:-1])])
    table = replace(
        parts[0].table, frame=pl.concat(plain, how="vertical_relaxed", rechunk=True),
        lines=np.concatenate([part.table.lines for part in parts]),
        origin=" and ".join(part.table.origin.rpartition("/")[2] for part in parts),
    )  # fmt: skip
    starts, ends = (
        np.concatenate([getattr(part, name) + at for part, at in zip(parts, before, strict=True)])
        for name in ("starts", "ends")
    )
    return Arranged(table, starts, ends, tuple(name for part in parts for name in part.ids))


# --- what is to be predicted ------------------------------------------------------------------------------------------
def _planned(
    whole: Arranged, roles: Roles, settings: DataSettings, form: Form, per: Per, left_out: Sequence[str]
) -> tuple[SeriesExamples, list[str]]:
    """The series with their answers in the form that heads take, and notes."""
    changing = _changing(whole, roles.target)
    if per == "series" and len(changing):
        _refuse_changing(whole, roles.target, changing, form)
    asked = whole.table if per == "step" else _one_row_each(whole, roles.target)
    target, notes = planned_target(asked, roles.target, form, is_only=per == "series")
    if settings.target is None:
        notes.insert(0, f"The target is {display_name(roles.target)}, by its name (target=... to override).")
    place = {roles.id, roles.order, roles.target, settings.group, settings.time, *left_out}
    features, about = usable_features(whole.table, [name for name in whole.table.frame.columns if name not in place])
    notes += about
    if per == "step":
        notes += [_seen_ahead(roles.target, name) for name in features if _is_ahead(whole, roles.target, name)]
    notes += giveaways(_filled(whole, roles.target) if per == "series" else whole.table, roles.target, features)
    answers = _typed(asked.frame[roles.target], target)
    given = label_type(asked.frame[roles.target])
    table = _index(whole, settings, answers if per == "series" else None)
    frame = whole.table.frame if per == "series" else whole.table.frame.with_columns(answers)
    step_target = (roles.target,) if per == "step" else ()
    rows = TableExamples(
        replace(whole.table, frame=frame), features, step_target, label_types=dict.fromkeys(step_target, given)
    )
    notes.append(_about_lengths(whole))
    names = {"id_name": roles.id, "order_name": roles.order, "target_names": (roles.target,)}
    return SeriesExamples(rows, whole.starts, whole.ends, table, **names, label_type=given), notes  # type: ignore[arg-type]


def _refuse_changing(whole: Arranged, target: str, changing: np.ndarray, form: Form) -> None:
    """Raise what is wrong with an answer that is not the same in all rows of a series."""
    place = int(changing[0])
    start, name = int(whole.starts[place]), quoted(whole.ids[place])
    values = whole.table.frame[target][start : int(whole.ends[place])].drop_nulls().unique(maintain_order=True)
    first, second = (quoted(str(value)) for value in values[:2])
    what = (
        f"{display_name(target)} should be the same in all rows of a series, and changes in {len(changing):,} of "
        f"{len(whole.ids):,}: {name} has {first} and {second} ({whole.table.where([start])})."
    )
    word = "step_classification" if form == "classification" else "step_regression"
    raise DataError(what, where=whole.table.origin, fix=f"correct it, or predict each step: task={word}.")


def _is_ahead(whole: Arranged, target: str, feature: str) -> bool:
    """Whether the target of a step is the value of a column at the next one: what is foretold is an input, too."""
    frame = whole.table.frame
    is_last = np.zeros(len(frame), bool)
    is_last[whole.ends - 1] = True
    pairs = pl.DataFrame({"now": frame[target], "next": frame[feature].shift(-1)}).filter(~is_last).drop_nulls()
    if len(pairs) < LEAST_PAIRS or pairs["now"].n_unique() < 2:
        return False
    if pairs["now"].dtype.is_numeric() != pairs["next"].dtype.is_numeric():
        return False
    same = (pairs["now"] == pairs["next"]) if pairs["now"].dtype.is_numeric() else (
        pairs["now"].cast(pl.String) == pairs["next"].cast(pl.String)
    )  # fmt: skip
    return int(same.sum()) >= AHEAD * len(pairs)


def _seen_ahead(target: str, feature: str) -> str:
    return (
        f"Leak? {display_name(target)} is {display_name(feature)} of the step after it: a net that reads in both "
        "directions sees the answer. Set directions=forward to foretell it."
    )


def _changing(whole: Arranged, target: str) -> np.ndarray:
    """Positions of the series in which the target has more than one value."""
    column = whole.table.frame[target]
    series = np.repeat(np.arange(len(whole.starts)), whole.ends - whole.starts)
    counts = pl.DataFrame({"series": series, "target": column}).drop_nulls().group_by("series").n_unique()
    return np.sort(counts.filter(pl.col("target") > 1)["series"].to_numpy())


def _one_row_each(whole: Arranged, target: str) -> Table:
    """A table of N rows: the target of each series, the first that is given."""
    series = np.repeat(np.arange(len(whole.starts)), whole.ends - whole.starts)
    column = whole.table.frame[target]
    first = pl.DataFrame({"series": series, target: column}).group_by("series", maintain_order=True).agg(
        pl.col(target).drop_nulls().first()
    )  # fmt: skip
    return replace(whole.table, frame=first.select(target), lines=whole.table.lines[whole.starts])


def _filled(whole: Arranged, target: str) -> Table:
    """The table with the answer of its series in every row."""
    each = _one_row_each(whole, target).frame[target]
    rows = np.repeat(np.arange(len(whole.starts)), whole.ends - whole.starts)
    return replace(whole.table, frame=whole.table.frame.with_columns(each.gather(rows)))


def _typed(column: pl.Series, target: Target) -> pl.Series:
    """Float64, or an Enum of the classes."""
    if target.kind == "number":
        return column.cast(pl.Float64)
    return class_texts(column).cast(pl.Enum(target.class_names))


def _index(whole: Arranged, settings: DataSettings, answers: pl.Series | None) -> pl.DataFrame:
    """A row for each series. Raises DataError where a group or a time is not the same in all rows of one."""
    table = index_frame(whole.ids)
    if answers is not None and answers.dtype == pl.Float64:
        table = table.with_columns(answers.alias("number"), stratum_of(answers).alias("stratum"))
    elif answers is not None:
        table = table.with_columns(answers.alias("label"), answers.cast(pl.String).alias("stratum"))
    if settings.group is not None:
        changing = _changing(whole, settings.group)
        if len(changing):
            what = f"data.group={settings.group} changes within series {quoted(whole.ids[int(changing[0])])}."
            raise DataError(what, where=whole.table.origin, fix="give a group that whole series belong to.")
        groups = _one_row_each(whole, settings.group).frame[settings.group].cast(pl.String)
        table = table.with_columns(groups.alias("group"))
    if settings.time is not None:
        table = table.with_columns(whole.table.frame[settings.time].gather(whole.starts).alias("time"))
    return table


def _answered(part: SeriesExamples, notes: list[str]) -> SeriesExamples:
    """Without the series of which no step has an answer."""
    known = part.steps().get_column(part.rows.target_names[0]).is_not_null().to_numpy()
    lengths = part.lengths()
    has_any = np.add.reduceat(known.astype(np.int64), np.cumsum(lengths) - lengths) > 0
    if has_any.all():
        return part
    count = int((~has_any).sum())
    notes.append(f"{counted(count, 'series', 'series')} without a target at any step: left out")
    return part.take(np.flatnonzero(has_any))


def _about_lengths(whole: Arranged) -> str:
    lengths = whole.ends - whole.starts
    count = counted(len(lengths), "series", "series")
    if lengths.min() == lengths.max():
        return f"{count} of {counted(int(lengths[0]), 'step')}"
    return f"{count} of {int(lengths.min()):,} to {int(lengths.max()):,} steps (median {int(np.median(lengths)):,})"
