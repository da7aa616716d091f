"""Columns of a table as numbers for a network: fitted on the training split, applied to anything by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np
import polars as pl
import polars.selectors as cs

from gnomon.core.errors import ArtefactError, DataError
from gnomon.core.facts import checked_facts
from gnomon.data.source import display_name, first_names, look_alike
from gnomon.data.tables import dates
from gnomon.data.tables.kinds import MAX_CATEGORIES, MISSING_WORDS, Kind
from gnomon.data.tables.numbers import PLAIN, NumberForm, to_numbers
from gnomon.data.tables.raw import quoted

FREE_TEXT_SHARE = 0.5  # distinct texts per row from which a column is free text, not categories ...
FREE_TEXT_LEAST = 20  # ... and how many distinct ones there must be
UNKNOWN = 0  # the code of a missing category and of one that training never saw

COLUMNS_AT_ONCE = 256  # of numbers, looked at together ...
VALUES_AT_ONCE = 2**24  # ... as long as they take no more than 128 MiB

Item = TypeVar("Item")
FeatureKind = Literal["number", "boolean", "category", "date"]
MICROSECONDS_A_DAY = 86_400_000_000
BINS = 8  # quantile bins of a column of numbers
FITTED_ROWS = 100_000  # rows whose quantiles are those of the column: more tell the same and take their time
FLOAT32_LIMIT = float(np.finfo(np.float32).max)


class HasColumns(Protocol):
    """A polars frame, or the examples of a table: anything that returns columns by name."""

    @property
    def schema(self) -> Mapping[str, pl.DataType]: ...

    def select(self, names: Sequence[str], /) -> pl.DataFrame: ...

    def get_column(self, name: str) -> pl.Series: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Feature:
    """One input column and the facts fitted on the training split.

    A number, boolean (0 or 1) or date (days since 1970) x becomes (x - mean) / std, missing x replaced by `fill` first,
    and is followed by 1 if it was missing or else 0 if `has_missing`. A category becomes its position in `categories`
    counted from 1. `edges` are the distinct ones of 9 quantiles of a column, smallest and largest value among them, as
    (x - mean) / std; a column of two values has none.
    """

    name: str
    kind: FeatureKind
    mean: float = 0.0
    std: float = 1.0
    fill: float = 0.0  # the median
    has_missing: bool = False
    categories: tuple[str, ...] = ()
    date_format: str = ""  # of dates written as text
    form: NumberForm = PLAIN  # of numbers written as text
    edges: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` takes them back."""
        return {**asdict(self), "categories": list(self.categories), "edges": list(self.edges)}

    @staticmethod
    def from_json(facts: Any) -> Feature:
        """The feature again. Raises ArtefactError on anything `to_json` does not write."""
        if not isinstance(facts, Mapping) or set(facts) != {field.name for field in fields(Feature)}:
            raise _odd("a feature has unexpected facts")
        name = facts["name"]
        texts = [facts[key] for key in ("name", "kind", "date_format")]
        numbers = [facts[key] for key in ("mean", "std", "fill")]
        categories = facts["categories"]
        if not all(isinstance(text, str) for text in texts) or facts["kind"] not in get_args(FeatureKind):
            raise _odd(f"feature {quoted(name)} has the kind {quoted(facts['kind'])}")
        is_finite = all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in numbers)
        if not is_finite or facts["std"] <= 0 or not isinstance(facts["has_missing"], bool):
            raise _odd(f"feature {quoted(name)} has the mean, std and median {numbers}")
        are_texts = isinstance(categories, list) and all(isinstance(text, str) for text in categories)
        if (
            not are_texts
            or len(set(categories)) != len(categories)
            or bool(categories) != (facts["kind"] == "category")
        ):
            raise _odd(f"feature {quoted(name)} has unusable categories")
        mean, std, fill = map(float, numbers)
        form = checked_facts(NumberForm, facts["form"]) if isinstance(facts["form"], Mapping) else None
        if form is None:
            raise _odd(f"feature {quoted(name)} has no valid number form")
        edges = tuple(facts["edges"]) if isinstance(facts["edges"], list) else (math.nan,)
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in edges) or list(edges) != sorted(set(edges)):
            raise _odd(f"feature {quoted(name)} has unusable edges")
        about = (mean, std, fill, facts["has_missing"], tuple(categories), texts[2], form, edges)
        return Feature(name, facts["kind"], *about)


def _odd(what: str) -> ArtefactError:
    return ArtefactError(f"the saved features are damaged: {what}.", fix="use an undamaged copy of the run.")


def kinds_of(features: Sequence[Feature]) -> dict[str, Kind]:
    """What to require of a table's columns at prediction: `read_table(..., kinds=kinds_of(features))`."""
    text = {"category": "text"}
    return {f.name: Kind(text.get(f.kind, f.kind), f.date_format, f.form) for f in features}  # type: ignore[arg-type]


def number_names(features: Sequence[Feature]) -> tuple[str, ...]:
    """What each of the D columns of numbers is."""
    names: list[str] = []
    for feature in features:
        if feature.kind != "category":
            names += [feature.name, f"{feature.name} is missing"] if feature.has_missing else [feature.name]
    return tuple(names)


# --- fitting ----------------------------------------------------------------------------------------------------------
def fit_features(
    train: HasColumns, names: Sequence[str], *, kinds: Mapping[str, Kind] | None = None
) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    """Fit the columns `names` of the training split, one column in memory at a time; notes say what is left out.

    `kinds` (of the table) say how dates were written. Raises DataError if no column is left.
    """
    features: list[Feature] = []
    filled: list[str] = []
    left_out: dict[str, list[str]] = {}
    for found, name, missing in _each_fitted(train, names, kinds or {}):
        if isinstance(found, str):
            left_out.setdefault(found, []).append(name)
            continue
        features.append(found)
        if found.has_missing and found.kind != "category":
            filled.append(f"{display_name(name)} ({missing:,} by {found.fill:.6g})")
    notes = [
        f"Left out of the inputs because of {why}: {first_names(columns, 10)}." for why, columns in left_out.items()
    ]
    if filled:
        rows = f"of {len(train):,} training rows"
        notes.append(f"Missing cells {rows} are filled with the median, and marked: {first_names(filled, 20)}.")
    if not features:
        raise DataError(
            "no column is left to learn from: " + " ".join(notes), fix="add columns that differ between rows."
        )
    return tuple(features), tuple(notes)


def _each_fitted(
    train: HasColumns, names: Sequence[str], kinds: Mapping[str, Kind]
) -> Iterator[tuple[Feature | str, str, int]]:
    """Each column's feature, or why it cannot be one; its name; how many of its cells are missing or not finite."""
    schema, text = train.schema, Kind("text")
    for some in _blocks(names, len(train)):
        plain = [name for name in some if schema[name].is_numeric() or schema[name].is_temporal()]
        values = dict(zip(plain, _values(train, plain).T, strict=True)) if plain else {}
        for name in some:
            written = kinds.get(name, text)
            if name in values:
                kind: FeatureKind = "number" if schema[name].is_numeric() else "date"
                draft = Feature(name, kind, date_format=written.date_format, form=written.number)
                present = values[name][~np.isnan(values[name])]
                is_empty = not len(present) and train.get_column(name).null_count() == len(train)
                found = "no value in the training split" if is_empty else _fit_numbers(draft, present, len(train))
                yield found, name, len(train) - len(present)
                continue
            column = train.get_column(name)
            yield _fit(column, written), name, column.null_count()


def _blocks(items: Sequence[Item], rows: int) -> Iterator[Sequence[Item]]:
    """The columns in parts that take no more than VALUES_AT_ONCE as numbers."""
    width = max(1, min(COLUMNS_AT_ONCE, VALUES_AT_ONCE // max(1, rows)))
    for start in range(0, len(items), width):
        yield items[start : start + width]


def _values(examples: HasColumns, names: Sequence[str]) -> np.ndarray:
    """(N, len(names)) float64 of numbers and of dates in days since 1970; NaN if missing or not finite."""
    days = cs.temporal().cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / MICROSECONDS_A_DAY
    found = examples.select(names).with_columns(cs.numeric().cast(pl.Float64), days)
    values = found.to_numpy(writable=True)
    values[~np.isfinite(values)] = np.nan
    return values


def _fit(column: pl.Series, written: Kind) -> Feature | str:
    """The fitted feature, or why the column cannot be one."""
    if column.null_count() == len(column):
        return "no value in the training split"
    if column.dtype in (pl.String, pl.Enum, pl.Categorical):
        return _fit_category(column)
    draft = Feature(column.name, "boolean", date_format=written.date_format, form=written.number)
    return _fit_numbers(draft, _numbers(column, draft, None).drop_nulls().to_numpy(), len(column))


def _fit_numbers(draft: Feature, present: np.ndarray, rows: int) -> Feature | str:
    """The feature with the facts of its finite values, of which it has `rows` where none is missing."""
    if not len(present):
        return "no finite value in the training split"
    low, high = float(present.min()), float(present.max())
    if low == high:
        return "only one value in the training split"
    size = max(abs(low), abs(high))  # keeps the squares of large numbers within float64
    mean, std = float((present / size).mean() * size), float((present / size).std() * size)
    if not 0 < std < math.inf:
        return "values too close together or too far apart for float64"
    found = replace(draft, mean=mean, std=std, fill=float(np.median(present)), has_missing=len(present) < rows)
    return replace(found, edges=_edges(present, found))


def _edges(present: np.ndarray, feature: Feature) -> tuple[float, ...]:
    some = present[:: max(1, len(present) // FITTED_ROWS)]
    with np.errstate(over="ignore"):
        quantiles = np.quantile(some, np.linspace(0, 1, BINS + 1), method="nearest")  # values that occur
        scaled = (quantiles - feature.mean) / feature.std
    distinct = np.unique(np.clip(scaled, -FLOAT32_LIMIT, FLOAT32_LIMIT).astype(np.float32))
    return tuple(distinct.tolist()) if len(distinct) > 2 else ()


def _fit_category(column: pl.Series) -> Feature | str:
    present = column.drop_nulls()
    distinct = present.unique().cast(pl.String)
    if len(distinct) < 2 and not column.null_count():
        return "only one value in the training split"
    if len(distinct) > MAX_CATEGORIES:
        return f"more than {MAX_CATEGORIES:,} distinct texts"
    if len(distinct) > max(FREE_TEXT_LEAST, FREE_TEXT_SHARE * len(present)):
        return "free text (different in most rows)"
    has_missing = bool(column.null_count())
    return Feature(column.name, "category", has_missing=has_missing, categories=tuple(sorted(distinct.to_list())))


# --- encoding ---------------------------------------------------------------------------------------------------------
def encode_features(
    examples: HasColumns, features: Sequence[Feature], *, ids: pl.Series | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) float32 numbers as `number_names` orders them and (N, C) int64 category codes, by column name.

    Other columns are ignored. `ids` name rows in messages (otherwise their number from 1). Raises DataError for
    a missing column and for a cell that does not fit what was fitted.
    """
    count, names = len(examples), number_names(features)
    categorical = [feature for feature in features if feature.kind == "category"]
    numbers = np.zeros((count, len(names)), np.float32)
    codes = np.zeros((count, len(categorical)), np.int64)
    place, plain = 0, list[tuple[Feature, int]]()
    schema = examples.schema
    for feature in features:
        if feature.kind == "category":
            continue
        dtype = schema.get(feature.name, pl.Null())
        if (feature.kind == "number" and dtype.is_numeric()) or (feature.kind == "date" and dtype.is_temporal()):
            plain.append((feature, place))
        else:
            values = _numbers(_column(examples, feature.name), feature, ids).to_numpy(writable=True)
            _put(numbers, values.reshape(-1, 1), [(feature, place)])
        place += 1 + feature.has_missing
    for some in _blocks(plain, count):
        _put(numbers, _values(examples, [feature.name for feature, _ in some]), some)
    for start in range(0, len(categorical), COLUMNS_AT_ONCE):
        part = categorical[start : start + COLUMNS_AT_ONCE]
        known = [feature.name for feature in part if feature.name in schema]
        column_of = {column.name: column for column in examples.select(known).get_columns()}
        for code, feature in enumerate(part, start):
            column = column_of.get(feature.name)
            codes[:, code] = _codes(_column(examples, feature.name) if column is None else column, feature)
    return numbers, codes


def _put(numbers: np.ndarray, values: np.ndarray, features: Sequence[tuple[Feature, int]]) -> None:
    """Values (N, F), NaN if missing, scaled into the places of their features; what is missing is marked beside them.

    `values` is used up.
    """
    fill, mean, std = (np.array([getattr(one, fact) for one, _ in features]) for fact in ("fill", "mean", "std"))
    is_missing = np.isnan(values)
    np.copyto(values, fill, where=is_missing)
    with np.errstate(over="ignore"):  # values beyond float64 become float32's largest number
        values -= mean
        values /= std
    np.clip(values, -FLOAT32_LIMIT, FLOAT32_LIMIT, out=values)
    numbers[:, [place for _, place in features]] = values
    marked = [i for i, (feature, _) in enumerate(features) if feature.has_missing]
    if marked:
        numbers[:, [features[i][1] + 1 for i in marked]] = is_missing[:, marked]


def unlike_training(
    examples: HasColumns, features: Sequence[Feature], where: Callable[[Sequence[int]], str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Alarms and notes about inputs to predict about which the model cannot have learned anything.

    Categories that training never saw (an alarm if a column has no others), and missing cells in columns that had none.
    `where` names rows.
    """
    alarms, notes = [], []
    known = [feature.name for feature in features if feature.name in examples.schema]
    nulls = examples.select(known).null_count().row(0, named=True) if known else {}
    for feature in features:
        missing = int(nulls.get(feature.name, 0))
        if not missing and feature.kind != "category":
            continue
        column = _column(examples, feature.name)
        name, rows = display_name(feature.name), len(column)
        if missing and not feature.has_missing:
            first = where([int(column.is_null().arg_max() or 0)])
            read = "counts as unknown" if feature.kind == "category" else f"is read as the median, {feature.fill:.6g}"
            notes.append(
                f"{name} is missing in {missing:,} of {rows:,} rows, the first is {first}; in training it "
                f"never was: it {read}."
            )
        if feature.kind != "category":
            continue
        is_unknown = pl.Series(_codes(column, feature) == UNKNOWN) & column.is_not_null()
        count = int(is_unknown.sum())
        if not count:
            continue
        row = int(is_unknown.arg_max() or 0)
        cell = f"{quoted(column[row])} in {where([row])}"
        how = look_alike(str(column[row]), feature.categories)
        cell += f" ({how})" if how else ""
        if count == rows - missing:
            alarms.append(
                f"{name}: none of the {count:,} values occurred in training ({cell}, for example): the model knows "
                "nothing about them. Is it the right column, written as it was in training?"
            )
        else:
            notes.append(
                f"{name}: {count:,} of {rows:,} rows have a value that did not occur in training ({cell} is the "
                "first): it counts as unknown."
            )
    return tuple(alarms), tuple(notes)


def _column(examples: HasColumns, name: str) -> pl.Series:
    try:
        return examples.get_column(name)
    except pl.exceptions.ColumnNotFoundError:
        what = f"column {quoted(name)}, which the model was trained on, is missing."
        raise DataError(what, fix="give the table all columns that it had in training.") from None


def _numbers(column: pl.Series, feature: Feature, ids: pl.Series | None) -> pl.Series:
    """Float64, null where missing or not finite. Raises DataError naming the first cell that cannot be such a value."""
    dtype = column.dtype
    if dtype in (pl.String, pl.Enum, pl.Categorical):
        values = _from_text(column.cast(pl.String), feature, ids)
    elif feature.kind == "date" and dtype.is_temporal():
        values = column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / MICROSECONDS_A_DAY
    elif dtype == pl.Null or (feature.kind != "date" and (dtype.is_numeric() or dtype == pl.Boolean)):
        values = column.cast(pl.Float64)
    else:
        what = f"column {quoted(column.name)} has {dtype}; in training it had {feature.kind}s."
        raise DataError(what, fix="give the column the type it had in training.")
    if feature.kind == "boolean" and not values.drop_nulls().is_in([0.0, 1.0]).all():
        _refuse(column, values.is_in([0.0, 1.0]) | values.is_null(), feature, ids)
    finite = values.fill_nan(None)
    return finite.set(finite.is_infinite().fill_null(value=False), None)


def _from_text(cells: pl.Series, feature: Feature, ids: pl.Series | None) -> pl.Series:
    plain = cells.str.strip_chars()
    if feature.kind == "number":
        values = to_numbers(plain, feature.form)
    elif feature.kind == "boolean":
        values = plain.str.to_lowercase().replace_strict(
            ["true", "false"], [1.0, 0.0], default=None, return_dtype=pl.Float64
        )
    else:
        form = feature.date_format if feature.date_format not in ("", dates.ZONED) else dates.ISO_DAY
        values = dates.to_datetimes(plain, form).dt.epoch("us").cast(pl.Float64) / MICROSECONDS_A_DAY
    is_missing = cells.is_null() | plain.str.to_lowercase().is_in(MISSING_WORDS)
    if (values.is_null() & ~is_missing).any():
        _refuse(cells, values.is_not_null() | is_missing, feature, ids)
    return values


def _refuse(column: pl.Series, fits: pl.Series, feature: Feature, ids: pl.Series | None) -> None:
    row = int((~fits.fill_null(value=True)).arg_true()[0])
    where = f"row {row + 1 if ids is None else ids[row]}"
    what = f"column {quoted(column.name)} has {quoted(column[row])} in {where}; in training it had {feature.kind}s."
    raise DataError(what, where=where, fix="correct the cell, or leave it empty.")


def _codes(column: pl.Series, feature: Feature) -> np.ndarray:
    """(N,) int64."""
    if isinstance(column.dtype, pl.Enum):  # each known text is looked up once, not each row
        code_of = {text: code for code, text in enumerate(feature.categories, 1)}
        table = np.array([UNKNOWN, *(code_of.get(text, UNKNOWN) for text in column.dtype.categories)], np.int64)
        places = column.to_physical().cast(pl.Int64)
        places = places.fill_null(-1) if places.null_count() else places
        return np.asarray(table[places.to_numpy() + 1])
    if column.dtype.is_float():
        is_whole = bool((column.drop_nulls() % 1 == 0).all())
        column = column.cast(pl.Int64, strict=False) if is_whole else column
    codes = column.cast(pl.String).cast(pl.Enum(feature.categories), strict=False).to_physical().cast(pl.Int64)
    return np.asarray(codes.fill_null(-1).to_numpy() + 1)
