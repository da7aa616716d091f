"""Columns of texts: in tables (CSV, TSV, Parquet, frames) and in JSON lines, which become a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, GnomonError, UsageError
from gnomon.core.example import BadInput, Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.folders import SPLITS
from gnomon.data.labels import check_classes, check_divided, label_type
from gnomon.data.source import Source, Tree, display_name, first_names
from gnomon.data.tables import (
    Table,
    class_targets,
    class_texts,
    located,
    peek_table,
    read_table,
    split_files,
    table_from_frame,
    target_names,
)
from gnomon.data.tables.kinds import MAX_INTEGER_CLASSES, Kind
from gnomon.data.tables.raw import quoted
from gnomon.data.tables.table import nearest
from gnomon.data.text.examples import TextExamples
from gnomon.data.text.files import Text, all_texts

JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
LEAST_WORDS = 3.0  # in the cells of a text on average: names and categories have fewer
MOSTLY_DIFFERENT = 0.5  # of the cells of a text, at least
PEEKED = 200  # JSON lines
NESTED = ("spans", "entities", "tokens", "tags")  # what JSON lines hold whose texts are tagged, not classified
TEXT = Kind("text")


@dataclass(frozen=True)
class Chosen:
    """The columns of a table that are read; `question`: what has to be asked before it can be."""

    text: str = ""
    target: str = ""
    question: str = ""
    fix: str = ""


def is_table(source: Source) -> bool:
    """Whether the source has rows and columns, JSON lines among them."""
    if source.table is not None or source.frame is not None:
        return True
    return source.tree is not None and (split_files(source.tree) is not None or bool(_json_files(source.tree)))


def recognise(source: Source, settings: DataSettings) -> tuple[float, str] | None:
    """How certain it is that a table has texts with a class each, and why; None for what is no table."""
    if not is_table(source):
        return None
    try:
        table = _peeked(source, settings)
    except GnomonError as error:  # reading it says so, whichever task it is for
        if settings.text is None:
            return 0.0, str(error)
        return 0.95, f"a column of texts, {settings.text}"
    if settings.text is not None:
        return 0.98, f"a column of texts, {settings.text}"
    if any(name in table.frame.columns and (table.frame[name] == "").all() for name in NESTED):
        return 0.0, "texts with marked spans"
    texts, others = _texts_and_others(table, settings)
    if not texts or others:
        return 0.0, "no column of texts alone"
    return 0.95, f"a column of texts, {first_names(texts)}"


def read_labelled_columns(source: Source, settings: DataSettings) -> Reading:
    """Every row's text and class, in the splits that the source has. Raises DataError, and UsageError to ask."""
    if settings.classes is not None:
        raise UsageError(
            "classes= chooses one of several sets of labels; of a table, target= names the column.",
            where=source.origin, fix="use target=COLUMN.",
        )  # fmt: skip
    chosen = _chosen(_peeked(source, settings), settings)
    if chosen.question:
        raise UsageError(chosen.question, where=source.origin, fix=chosen.fix)
    notes = [*source.notes]
    if settings.text is None:
        notes.append(f"the texts are in the column {display_name(chosen.text)} (text=... to choose)")
    if settings.target is None:
        notes.append(f"the classes are in the column {display_name(chosen.target)} (target=... to choose)")
    splits: dict[str, TextExamples] = {}
    bad: list[BadInput] = []
    for split, (name, table) in _tables(source, settings, chosen, notes).items():
        notes += [note for note in table.notes if note not in notes]
        splits[split] = _examples(table, chosen, settings, name, bad, notes)
    return checked(splits, notes, bad, source.origin)


def checked(
    splits: Mapping[str, TextExamples], notes: Sequence[str], bad: Sequence[BadInput], origin: str
) -> Reading:  # fmt: skip
    """The reading of texts with their classes. Raises DataError where they cannot be learned from."""
    check_divided(splits, origin, "text")
    to_learn = splits["all"] if "all" in splits else splits.get("train")
    if to_learn is None:
        raise DataError("there is no text to train on.", where=origin, fix="add a split named train.")
    counts = Counter(to_learn.index["label"].to_list())
    return Reading(splits, (*notes, *check_classes(dict(counts), origin, "text")), tuple(bad))


def read_texts_of_columns(
    source: Source, settings: DataSettings, column: str
) -> tuple[list[str], list[str], list[str], list[BadInput]]:
    """Ids and texts of every row, notes, and what cannot be read. `column`: the one that training read."""
    plain = settings.model_copy(update={"target": None, "group": None, "time": None, "ignore": ()})
    peeked = _peeked(source, plain)
    name = column
    if column not in peeked.frame.columns:
        texts, _ = _texts_and_others(peeked, plain)
        if len(texts) != 1:
            raise DataError(
                f"there is no column {quoted(column)}, of which the model was trained on the texts.",
                where=source.origin, fix=f"rename the column: {nearest(column, peeked.frame.columns)}",
            )  # fmt: skip
        name = texts[0]
    notes = [] if name == column else [f"the texts are in the column {display_name(name)}; in training: {column}"]
    ids: list[str] = []
    found: list[str] = []
    for where, table in _tables(source, plain, Chosen(name), notes).values():
        ids += [f"{where} {table.unit} {line}" for line in table.lines.tolist()]
        found += table.frame[name].cast(pl.String).fill_null("").to_list()
        notes += [note for note in table.notes if note not in notes]
    return ids, found, notes, []


# --- which columns ------------------------------------------------------------------------------------------------
def _chosen(table: Table, settings: DataSettings) -> Chosen:
    """The columns of texts and of classes: as set, or where there is no doubt; otherwise, what to ask."""
    names = table.frame.columns
    texts, _ = _texts_and_others(table, settings)
    if settings.text is not None and settings.text not in names:
        return Chosen(
            question=f"there is no column {quoted(settings.text)} of texts.", fix=nearest(settings.text, names)
        )
    if settings.text is None and len(texts) != 1:
        several = f"several columns hold texts: {first_names(texts, 20)}"
        none = f"no column holds texts for certain; the columns are {first_names(names, 20)}"
        return Chosen(question=f"{several if texts else none}.", fix=f"set text={(texts or names)[0]}.")
    text = settings.text or texts[0]
    targets = target_names([name for name in names if name != text], settings)
    if len(targets) > 1:
        return Chosen(question=f"{len(targets)} columns are to be predicted, and texts have one class each.",
                      fix=f"set target={targets[0]}.")  # fmt: skip
    if not targets:
        taken = {text, settings.group, settings.time, *settings.ignore}
        few = [name for name in names if name not in taken and _is_of_few(table.frame[name])]
        if len(few) != 1:
            return Chosen(
                question=f"which column has the classes? The columns are {first_names(names, 20)}.",
                fix=f"set target={(few or [one for one in names if one != text] or ['COLUMN'])[0]}.",
            )
        targets = (few[0],)
    if targets[0] == text:
        return Chosen(question=f"{quoted(text)} cannot be both the text and the target.", fix="set target=COLUMN.")
    return Chosen(text, targets[0])


def _texts_and_others(table: Table, settings: DataSettings) -> tuple[list[str], list[str]]:
    """Columns that hold texts, and columns that could be inputs beside them."""
    taken = {*target_names(table.frame.columns, settings), settings.group, settings.time, *settings.ignore}
    free = [column for column in table.frame if column.name not in taken]
    texts = [column.name for column in free if _is_text(column)]
    rest = [column for column in free if column.name not in texts]
    if not target_names(table.frame.columns, settings) and (few := [one for one in rest if _is_of_few(one)]):
        rest = [one for one in rest if one.name != few[0].name]  # it may be the target
    return texts, [column.name for column in rest if column.n_unique() > 1 and not _numbers_rows(column)]


def _is_text(column: pl.Series) -> bool:
    if column.dtype not in (pl.String, pl.Enum):
        return False
    cells = column.drop_nulls().cast(pl.String)
    if not len(cells) or cells.n_unique() < MOSTLY_DIFFERENT * len(cells):
        return False
    words = cells.str.strip_chars().str.count_matches(r"\S+").mean()
    return isinstance(words, float) and words >= LEAST_WORDS


def _is_of_few(column: pl.Series) -> bool:
    """Whether the cells are few different ones, as classes are."""
    different = column.drop_nulls().n_unique()
    if column.dtype.is_float() and not bool((column.drop_nulls() % 1 == 0).all()):
        return False
    return 2 <= different <= max(2, min(MAX_INTEGER_CLASSES, len(column) // 2))


def _numbers_rows(column: pl.Series) -> bool:
    """Whether every cell is another one: they tell rows apart, and nothing else."""
    return not column.dtype.is_float() and column.n_unique() == len(column)


# --- rows ---------------------------------------------------------------------------------------------------------
def _peeked(source: Source, settings: DataSettings) -> Table:
    """The first rows."""
    given = {} if settings.text is None else {settings.text: TEXT}
    if source.frame is not None:
        return table_from_frame(source.frame.head(10_000), settings, origin=source.origin)
    if source.table is not None:
        return peek_table(source.table, settings)
    assert source.tree is not None
    if files := _json_files(source.tree):
        text = _json_text(source.tree, next(iter(files.values())))
        return _json_table(text, settings, given, most=PEEKED)
    members = split_files(source.tree) or {}
    path, content = located(source.tree, members["train"])
    return peek_table(path, settings, content=content)


def _tables(source: Source, settings: DataSettings, chosen: Chosen, notes: list[str]) -> dict[str, tuple[str, Table]]:
    """{split: (what to call it, the columns that are needed)}."""
    kinds = {chosen.text: TEXT}
    needed = {chosen.text, chosen.target, settings.group, settings.time}

    def only(names: Sequence[str]) -> DataSettings:
        target = (chosen.target,) if chosen.target else None
        return settings.model_copy(
            update={"target": target, "ignore": tuple(name for name in names if name not in needed)}
        )

    def quiet(table: Table) -> Table:
        return replace(table, notes=tuple(note for note in table.notes if "data.ignore" not in note))

    if source.frame is not None:
        frame = source.frame
        return {
            "all": ("frame", quiet(table_from_frame(frame, only(frame.columns), origin=source.origin, kinds=kinds)))
        }
    if source.table is not None:
        names = peek_table(source.table, settings).frame.columns
        table = read_table(source.table, only(names), kinds=kinds)
        return {"all": (display_name(Path(source.table).name), quiet(table))}
    assert source.tree is not None
    found: dict[str, tuple[str, Table]] = {}
    for split, name in (_json_files(source.tree) or split_files(source.tree) or {}).items():
        shown = display_name(name.rpartition("/")[2])
        if _json_files(source.tree):
            table = _json_table(_json_text(source.tree, name), settings, kinds)
        else:
            path, content = located(source.tree, name)
            names = peek_table(path, settings, content=content).frame.columns
            table = read_table(path, only(names), content=content, kinds=kinds)
        if chosen.target and chosen.target not in table.frame.columns and split == "test":
            notes.append(f"{shown} has no column {chosen.target}: it can be predicted, not evaluated; left out.")
            continue
        found[split] = shown, quiet(table)
    return found


def _examples(
    table: Table, chosen: Chosen, settings: DataSettings, name: str, bad: list[BadInput], notes: list[str]
) -> TextExamples:
    """The rows of one table; those without a text go to `bad`."""
    for key, other in (("group", settings.group), ("time", settings.time)):
        if other is not None and other not in table.frame.columns:
            raise UsageError(
                f"data.{key}={other} is not a column.", where=table.origin, fix=nearest(other, table.frame.columns)
            )
    _, about = class_targets(table, [chosen.target])
    notes += [note for note in about if note not in notes]
    texts = table.frame[chosen.text].cast(pl.String).fill_null("")
    kept = (texts.str.strip_chars() != "").to_numpy()
    ids = np.array([f"{name} {table.unit} {line}" for line in table.lines.tolist()])
    bad += [BadInput(where, "no text") for where in ids[~kept].tolist()]
    rows = np.flatnonzero(kept)
    labels = table.frame[chosen.target]
    frame = table.frame[rows]
    index = index_frame(ids[rows].tolist(), label=class_texts(labels)[rows].to_list())
    if settings.group is not None:
        index = index.with_columns(group=frame[settings.group].cast(pl.String))
    if settings.time is not None:
        index = index.with_columns(time=frame[settings.time])
    return TextExamples.of(
        texts[rows].to_list(), index, "line", column=chosen.text, label_type=label_type(labels)
    )  # fmt: skip


# --- JSON lines -----------------------------------------------------------------------------------------------------
def _json_files(tree: Tree) -> dict[str, str]:
    """{split: file} of files of JSON lines: one is "all", several are named as splits."""
    names = [file.name for file in tree.files if file.name.lower().endswith(JSON_LINES)]
    if len(names) == 1 and len(tree.files) == 1:
        return {"all": names[0]}
    found: dict[str, str] = {}
    for name in names:
        split = SPLITS.get(name.rpartition("/")[2].partition(".")[0].lower())
        if split is not None:
            found.setdefault(split, name)
    return found if "train" in found and len(found) > 1 else {}


def _json_text(tree: Tree, name: str) -> Text:
    """Raises DataError for what is no text."""
    file = next(one for one in tree.files if one.name == name)
    (text,), _ = all_texts(tree, [file])
    return text


def _json_table(
    text: Text, settings: DataSettings, kinds: Mapping[str, Kind], most: int | None = None
) -> Table:  # fmt: skip
    """Each line's plain values as a row; lists and objects in them are left out. Raises DataError with the line."""
    rows, lines, nested = list[dict[str, Any]](), list[int](), set[str]()
    for number, line in enumerate(text.content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise _not_json(text.name, number, str(error)) from None
        if not isinstance(row, dict):
            raise _not_json(text.name, number, "it is no object {...}")
        nested |= {key for key, value in row.items() if isinstance(value, list | dict)}
        rows.append(row)
        lines.append(number)
        if len(rows) == most:
            break
    names = dict.fromkeys(key for row in rows for key in row)
    columns = [_column(name, [row.get(name) for row in rows]) for name in names if name not in nested]
    ignore = tuple(name for name in settings.ignore if name in names and name not in nested)
    table = table_from_frame(
        pl.DataFrame(columns), settings.model_copy(update={"ignore": ignore}), origin=text.name,
        kinds={name: kind for name, kind in kinds.items() if name in names},
    )  # fmt: skip
    if nested and most is None:
        table = replace(table, notes=(*table.notes, f"lists and objects are not read: {first_names(sorted(nested))}"))
    if most is not None and nested:  # what was left out says what the lines are
        table = replace(table, frame=table.frame.with_columns(pl.lit("").alias(name) for name in sorted(nested)))
    return replace(table, lines=np.array(lines, np.uint32), unit="line")


def _not_json(name: str, number: int, why: str) -> DataError:
    return DataError(
        f"line {number:,} is not JSON: {why}.", where=name, fix='write one object per line: {"text": "...", "label": 1}'
    )


def _column(name: str, values: list[Any]) -> pl.Series:
    """Values of one kind as they are, of several as texts."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and kinds:
        return pl.Series(name, values, dtype=pl.Float64 if float in kinds else pl.Int64)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    texts = [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)
