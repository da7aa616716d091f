"""The rows of a table as examples: positions over shared columns, an object only for the row a person looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast, final

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.settings import DataSettings
from gnomon.data.labels import LabelType, label_type
from gnomon.data.source import Tree, display_name, first_names
from gnomon.data.tables import dates
from gnomon.data.tables.kinds import Kind
from gnomon.data.tables.numbers import PLAIN
from gnomon.data.tables.one_hot import one_class_each
from gnomon.data.tables.raw import quoted
from gnomon.data.tables.read import peek_table, read_table
from gnomon.data.tables.table import Table, target_names
from gnomon.data.tables.targets import Form, TargetPlan, class_texts, plan_targets, with_number_targets
from gnomon.data.tables.typed import as_demanded

STRATUM_BINS = 10  # of a number to predict: splits keep its deciles in proportion
HASH_ROWS = 262_144  # rows hashed at a time
EXACT_IN_FLOAT64 = 2**53  # whole numbers up to here are the same in float64

_SPLIT_FILES = {  # file name without suffix -> split
    "train": "train", "training": "train",
    "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev",
    "test": "test",
}  # fmt: skip
_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq")


@final
@dataclass(frozen=True, eq=False)
class TableExamples(Examples):
    """N rows of a table. The id of an example is its line in the file (its row if there are no lines), from 1."""

    table: Table
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...] = ()
    group: str | None = None
    time: str | None = None
    stratum: pl.Series | None = None  # of every row of the table
    positions: np.ndarray | None = None  # (N,) rows of the table; None: all of them, in order
    ids: pl.Series | None = None  # of every row of the table; None: their lines
    source: pl.Series | None = None  # of every row of the table: where it came from; None: not asked for
    label_types: Mapping[str, LabelType] = field(default_factory=dict)  # of the targets, as they were given

    @staticmethod
    def planned(table: Table, plan: TargetPlan) -> TableExamples:
        """All rows, with targets in their trained form: Enum over the class names, or Float64."""
        columns = []
        for target in plan.targets:
            column = table.frame[target.name]
            is_number = target.kind == "number"
            columns.append(
                column.cast(pl.Float64) if is_number else class_texts(column).cast(pl.Enum(target.class_names))
            )
        typed = replace(table, frame=table.frame.with_columns(columns))
        stratum = stratum_of(columns[0]) if len(columns) == 1 else None
        names = tuple(target.name for target in plan.targets)
        types = {name: label_type(table.frame[name]) for name in names}
        return TableExamples(typed, plan.features, names, plan.group, plan.time, stratum, label_types=types)

    @staticmethod
    def to_predict(table: Table, feature_names: tuple[str, ...]) -> TableExamples:
        """All rows, without targets."""
        return TableExamples(table, feature_names)

    @property
    def label_type(self) -> LabelType:
        """What the label was given as."""
        return self.label_types.get(self.target_names[0], "text") if len(self.target_names) == 1 else "text"

    @cached_property
    def index(self) -> pl.DataFrame:
        """As `Examples.index`; `label` is the class, `stratum` the class or the tenth a number falls into; no tags."""
        is_number = self.stratum is None or self.stratum.dtype.is_numeric()
        return pl.DataFrame(
            {
                "id": self._of(self._ids),
                "label": self._missing_column() if is_number else self._of(cast("pl.Series", self.stratum)),
                "stratum": self._missing_column() if self.stratum is None else self._of(self.stratum),
                "group": self._missing_column() if self.group is None else self.get_column(self.group),
                "time": self._missing_column() if self.time is None else self.get_column(self.time),
                **({} if self.source is None else {"source": self._of(self.source)}),
            }
        )

    def __len__(self) -> int:
        return len(self.table) if self.positions is None else len(self.positions)

    def __getitem__(self, position: int) -> Example:
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        row = position % len(self) if self.positions is None else int(self.positions[position])
        inputs = self.table.frame.select(self.feature_names).row(row, named=True)
        targets = self.table.frame.select(self.target_names).row(row, named=True) if self.target_names else {}
        target: Any = next(iter(targets.values()), None) if len(targets) < 2 else targets
        return Example(str(self._ids[row]), inputs, target)

    def take(self, positions: np.ndarray) -> Self:
        """The rows at `positions`; only these numbers are copied."""
        chosen = np.asarray(positions, dtype=np.int64)
        return replace(self, positions=chosen if self.positions is None else self.positions[chosen])

    def join(self, other: Self) -> Self:
        """These rows, then those of `other`, in the columns of these. Raises DataError if `other` lacks one."""
        if other.table is self.table and other.source is self.source:
            return replace(self, positions=np.concatenate([self._positions, other._positions]))
        names = [*self.feature_names, *self.target_names, *filter(None, (self.group, self.time))]
        lacking = [name for name in names if name not in other.table.frame.columns]
        if lacking:
            what = f"has no column {first_names(lacking)}, which {self.table.origin} has."
            raise DataError(what, where=other.table.origin, fix="give both tables the same columns.")
        columns = [_chained(self, other, name) for name in dict.fromkeys(names)]
        table = replace(
            self.table,
            frame=pl.DataFrame(columns),
            lines=np.concatenate([self.table.lines[self._positions], other.table.lines[other._positions]]),
            origin=f"{self.table.origin} and {other.table.origin}",
        )
        stratum = (
            None if self.stratum is None or not self.target_names else stratum_of(table.frame[self.target_names[0]])
        )
        first, second = _two_names(self.table.origin, other.table.origin)
        ids = pl.concat([self.qualified_ids(first), other.qualified_ids(second)], rechunk=True)
        source = None if self.source is None or other.source is None else self._sources(other)
        return replace(self, table=table, stratum=stratum, ids=ids, positions=None, source=source)

    def with_labels(self, labels: pl.Series) -> Self:
        """These rows with other classes; the table that they are rows of is another one then."""
        if len(self.target_names) != 1:
            return super().with_labels(labels)
        name = self.target_names[0]
        column = self.table.frame[name]
        if not isinstance(column.dtype, pl.Enum):
            raise DataError("the target is a number, not a class.", where=name, fix="correct the data itself.")
        texts = column.cast(pl.String).to_list()
        for row, label in zip(self._positions, labels, strict=True):
            texts[int(row)] = label
        corrected = pl.Series(name, texts, dtype=column.dtype)
        table = replace(self.table, frame=self.table.frame.with_columns(corrected))
        return replace(self, table=table, stratum=None if self.stratum is None else corrected)

    def with_source(self, name: str) -> Self:
        return replace(self, source=pl.Series("source", [name], dtype=pl.String).new_from_index(0, len(self.table)))

    def frame(self) -> pl.DataFrame:
        """The input columns of these rows."""
        return self._rows(self.table.frame.select(self.feature_names))

    def targets(self) -> pl.DataFrame:
        """The target columns of these rows."""
        return self._rows(self.table.frame.select(self.target_names))

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """The types of all columns of the table."""
        return self.table.frame.schema

    def select(self, names: Sequence[str], /) -> pl.DataFrame:
        """Some columns of these rows."""
        return self._rows(self.table.frame.select(names))

    def get_column(self, name: str) -> pl.Series:
        """One column of these rows."""
        return self._of(self.table.frame[name])

    def fingerprints(self) -> np.ndarray:
        """(N,) uint64: the same for the same values in the same input columns, whatever types hold them."""
        return self._fingerprints

    @cached_property
    def _fingerprints(self) -> np.ndarray:
        frame = self.table.frame.select(self.feature_names)
        comparable = [_comparable(column) for column in frame]
        hashes = np.empty(len(self), np.uint64)
        for start in range(0, len(self), HASH_ROWS):
            rows = slice(start, start + HASH_ROWS)
            part = frame[rows] if self.positions is None else frame[self.positions[rows]]
            hashes[rows] = part.select(comparable).hash_rows(seed=0).to_numpy()
        return hashes

    @property
    def _ids(self) -> pl.Series:
        return pl.Series(self.table.lines) if self.ids is None else self.ids

    @property
    def _positions(self) -> np.ndarray:
        return np.arange(len(self.table)) if self.positions is None else self.positions

    def qualified_ids(self, name: str) -> pl.Series:
        """Ids that differ from those of any other file: `dev.csv:17`."""
        ids = self._of(self._ids)
        return f"{name}:" + ids.cast(pl.String) if self.ids is None else ids

    def _sources(self, other: TableExamples) -> pl.Series:
        return pl.concat([one.index["source"] for one in (self, other)], rechunk=True)

    def _of(self, series: pl.Series) -> pl.Series:
        return series if self.positions is None else series.gather(self.positions)

    def _rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self.positions is None:
            return frame
        first, count = (int(self.positions[0]), len(self.positions)) if len(self.positions) else (0, 0)
        if np.array_equal(self.positions, np.arange(first, first + count)):
            return frame.slice(first, count)
        return frame[self.positions]

    def _missing_column(self) -> pl.Series:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(self))


def _two_names(first: str, second: str) -> tuple[str, str]:
    """Short names that distinguish two origins."""
    short = first.rpartition("/")[2], second.rpartition("/")[2]
    if short[0] != short[1]:
        return short
    return (first, second) if first != second else (first, f"{second} (2)")


def _chained(first: TableExamples, second: TableExamples, name: str) -> pl.Series:
    """One column of two tables, in a type that fits both. Raises DataError if they do not go together."""
    a, b = first.get_column(name), second.get_column(name)
    _check_units(first.table, second.table, name)
    if a.dtype != b.dtype:
        b = as_demanded(b, first.table.kinds[name] if name not in first.target_names else _kind_of_target(a),
                        ("",), second.table.origin, [], has_zone=_has_zone(second, name))  # fmt: skip
    if a.dtype.is_numeric() and b.dtype.is_numeric():
        wide: pl.DataType = pl.Int64() if a.dtype.is_integer() and b.dtype.is_integer() else pl.Float64()
    elif isinstance(a.dtype, pl.Enum):
        texts = b.drop_nulls().unique().cast(pl.String).sort().to_list()
        wide = pl.Enum(list(dict.fromkeys([*a.dtype.categories, *texts])))
    else:
        wide = a.dtype
    parts = [a.cast(wide), b.cast(pl.String).cast(wide) if isinstance(wide, pl.Enum) else b.cast(wide)]
    return pl.concat(parts, rechunk=True)  # in one piece: as in ImageExamples.join


def _check_units(first: Table, second: Table, name: str) -> None:
    """Raise DataError if one table has another unit or currency in a column than the other."""
    ours, theirs = (table.kinds[name].number if name in table.kinds else PLAIN for table in (first, second))
    is_written = first.unit == second.unit == "line"
    if is_written and (ours.prefix, ours.suffix) != (theirs.prefix, theirs.suffix):
        what = (
            f"column {quoted(name)} is written like {quoted(theirs.example)} here, "
            f"like {quoted(ours.example)} in {first.origin}."
        )
        raise DataError(what, where=second.origin, fix="write its numbers the same way in both, in the same unit.")


def _has_zone(examples: TableExamples, name: str) -> bool:
    return name in examples.table.kinds and dates.has_zone(examples.table.kinds[name].date_format)


def _kind_of_target(column: pl.Series) -> Kind:
    return Kind("number") if column.dtype.is_numeric() else Kind("text")


def _comparable(column: pl.Series) -> pl.Expr:
    """The column in a form whose hash depends on its values alone."""
    expression = pl.col(column.name)
    if column.dtype.is_float():
        return expression.cast(pl.Float64)
    if column.dtype.is_integer():
        low, high = column.min() or 0, column.max() or 0
        is_exact = max(abs(int(low)), abs(int(high))) <= EXACT_IN_FLOAT64  # type: ignore[arg-type]
        return expression.cast(pl.Float64 if is_exact else pl.Int64)
    if column.dtype.is_temporal():
        return expression.cast(pl.Datetime("us"))
    return expression.cast(pl.String)


def stratum_of(target: pl.Series) -> pl.Series:
    """The class itself, or the tenth of a number: 0 .. 9."""
    if not target.dtype.is_numeric():
        return target
    edges = np.quantile(target.to_numpy(), np.linspace(0, 1, STRATUM_BINS + 1)[1:-1])
    return pl.Series(np.searchsorted(edges, target.to_numpy(), side="right").astype(np.int8))


# --- sources that divide themselves -----------------------------------------------------------------------------------
def split_files(tree: Tree) -> dict[str, str] | None:
    """{split: file name} if a folder is a train table with dev or test tables beside it; otherwise None."""
    found: dict[str, str] = {}
    for file in tree.files:
        leaf = file.name.rpartition("/")[2].lower()
        suffix = next((s for s in sorted(_SUFFIXES, key=len, reverse=True) if leaf.endswith(s)), None)
        if suffix is None:
            continue
        split = _SPLIT_FILES.get(leaf.removesuffix(suffix))
        if split in found:
            what = f"{display_name(found[split])} and {display_name(file.name)} are both named like {split} data."
            raise DataError(what, where=tree.origin, fix="keep one of them in the folder.")
        if split is not None:
            found[split] = file.name
    return found if "train" in found and len(found) > 1 else None


def read_split_tables(tree: Tree, settings: DataSettings, *, form: Form | None = None) -> tuple[Reading, TargetPlan]:
    """Read train, dev and test tables of a folder or archive; types and inputs are decided on train.

    Raises DataError if columns differ, naming them; a test table that only lacks the target is skipped with a note.
    """
    files = split_files(tree)
    if files is None:
        raise DataError("holds no train table with a dev or test table beside it.", where=tree.origin,
                        fix="name them train.csv, dev.csv and test.csv.")  # fmt: skip
    train = _read_member(tree, files["train"], settings, {})
    targets = set(target_names(train.frame.columns, settings))
    notes = list(train.notes)
    others: dict[str, Table] = {}
    demanded = dict(train.kinds)
    for split in ("dev", "test"):
        if split not in files:
            continue
        names = set(_names(tree, files[split], settings))
        lacking = [name for name in train.frame.columns if name not in names]
        extra = sorted(names - set(train.frame.columns))
        shown = display_name(files[split])
        if lacking and set(lacking) <= targets and split == "test":
            notes.append(f"{shown} has no column {first_names(lacking)}: it can be predicted, not evaluated; left out.")
            continue
        if lacking or extra:
            parts = [f"lacks {first_names(lacking)}"] * bool(lacking) + [f"adds {first_names(extra)}"] * bool(extra)
            what = f"its columns differ from those of {display_name(files['train'])}: it {' and '.join(parts)}."
            raise DataError(what, where=f"{tree.origin}/{shown}", fix="give all the tables the same columns.")
        others[split] = _read_member(tree, files[split], settings, demanded)
        notes += [note for note in others[split].notes if note not in notes]
    if form == "regression":
        train, others = with_number_targets(train), {split: with_number_targets(part) for split, part in others.items()}
    if form == "classification":
        every, settings, about = one_class_each({"train": train, **others}, settings)
        train, notes = every.pop("train"), [*notes, *about]
        others = every
    plan = plan_targets(train, settings, form=form, others=others)
    splits: dict[str, Examples] = {}
    for split, part in {"train": train, **others}.items():
        examples = TableExamples.planned(part, plan)
        splits[split] = replace(
            examples, ids=examples.qualified_ids(display_name(files[split]))
        )  # line 17 is found in each of the files
    return Reading(splits, (*notes, *plan.notes)), plan


def _read_member(tree: Tree, name: str, settings: DataSettings, kinds: Mapping[str, Any]) -> Table:
    path, content = located(tree, name)
    return read_table(path, settings, content=content, kinds=kinds)


def _names(tree: Tree, name: str, settings: DataSettings) -> list[str]:
    path, content = located(tree, name)
    return peek_table(path, settings, content=content).frame.columns


def located(tree: Tree, name: str) -> tuple[Path, bytes | None]:
    """Where a member is, and its content unless it is a file of its own: big tables are not also kept as bytes."""
    path = Path(tree.origin) / name
    return path, None if path.is_file() else tree.read(name)
