"""Labels as they were given: classes are kept as text, and whole numbers and booleans come back as such."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Examples, LabelType
from gnomon.data.source import counted, first_names, listed, look_alike

TRUTHS = {"true": True, "false": False}
LARGEST_CLASS = 2**53  # whole numbers up to here are exact in float64


def label_type(values: np.ndarray | pl.Series) -> LabelType:
    """What labels of this type come back as. Whole floating-point numbers were classes 0, 1, 2 ...: integers."""
    if isinstance(values, np.ndarray):
        return {"b": "boolean", "i": "integer", "u": "integer", "f": "integer"}.get(values.dtype.kind, "text")  # type: ignore[return-value]
    if values.dtype == pl.Boolean:
        return "boolean"
    return "integer" if values.dtype.is_integer() or values.dtype.is_float() else "text"


def as_given(names: Sequence[str], kind: LabelType) -> pl.Series:
    """The class names as labels of that type; as text if one of them does not fit the type."""
    texts = pl.Series(names, dtype=pl.String)
    if kind == "integer":
        whole = texts.cast(pl.Int64, strict=False)
        return whole if not whole.null_count() else texts
    if kind == "boolean" and set(names) <= set(TRUTHS):
        return pl.Series([TRUTHS[name] for name in names], dtype=pl.Boolean)
    return texts


def named(targets: np.ndarray, class_names: Sequence[str], origin: str) -> list[str]:
    """The name of each of (N,) whole numbers that index class names from 0. Raises DataError for others."""
    if targets.min() < 0 or targets.max() >= len(class_names):
        raise DataError(
            f"targets run from {targets.min()} to {targets.max()}, but there are {len(class_names)} class names.",
            where=origin,
            fix="give targets that index the class names from 0.",
        )
    return [class_names[target] for target in targets.tolist()]


def one_hot_indices(targets: np.ndarray) -> np.ndarray | str:
    """(N,) the position of the one in each row of (N, K) targets, K at least 2; or why they are not one-hot."""
    shape = "x".join(map(str, targets.shape))
    if targets.ndim != 2 or targets.shape[1] < 2 or targets.dtype.kind not in "biuf":
        return f"targets of shape {shape} and type {targets.dtype}"
    is_one = targets == 1
    odd = np.flatnonzero((~is_one & (targets != 0)).any(axis=1))
    if len(odd):
        value = next(value for value in targets[odd[0]].tolist() if value not in (0, 1))
        return f"targets of shape {shape}, neither one class each nor one-hot: {value:g} in example {odd[0]}"
    ones = is_one.sum(axis=1)
    wrong = np.flatnonzero(ones != 1)
    if len(wrong):
        return f"targets of shape {shape}, not one-hot: example {wrong[0]} has {ones[wrong[0]]} ones"
    found: np.ndarray = is_one.argmax(axis=1)
    return found


def one_class_each(targets: np.ndarray, noun: str, origin: str) -> tuple[np.ndarray, list[str]]:
    """(N,) from (N,), (N, 1) or one-hot (N, K) targets, and notes. Raises DataError for other shapes."""
    targets = np.asarray(targets)
    if targets.ndim < 2 or (targets.ndim == 2 and targets.shape[1] == 1):
        return targets.reshape(-1), []
    found = one_hot_indices(targets)
    if isinstance(found, str):
        raise DataError(f"{found}.", where=origin, fix=f"give one class for each {noun}.")
    return found, [f"targets of shape {'x'.join(map(str, targets.shape))} are one-hot: read as one class each"]


def class_names_of(targets: np.ndarray, class_names: Sequence[str], count: int, noun: str, origin: str) -> list[str]:
    """The class of each of `count` examples, each called a `noun`, as text.

    Raises DataError for targets that are not classes.
    """
    if targets.shape != (count,):
        raise DataError(
            f"{counted(count, noun)}, but targets of shape {'x'.join(map(str, targets.shape))}.",
            where=origin,
            fix=f"give one class for each {noun}.",
        )
    if targets.dtype.kind == "f":
        _refuse_missing(~np.isfinite(targets), noun, origin)
        if (targets != np.rint(targets)).any():
            raise DataError(
                "the targets are fractions, not classes.", where=origin, fix="give whole numbers or names as targets."
            )
        large = np.flatnonzero(np.abs(targets) > LARGEST_CLASS)
        if len(large):
            raise DataError(
                f"the target of {noun} {large[0]} is {targets[large[0]]:g}, which is not a class.",
                where=origin,
                fix="give whole numbers or names as targets.",
            )
        targets = targets.astype(np.int64)
    if class_names and targets.dtype.kind in "iu":
        return named(targets, class_names, origin)
    if targets.dtype.kind == "b":
        return [str(target).lower() for target in targets.tolist()]  # as tables write booleans
    if targets.dtype.kind == "O":
        _refuse_missing(np.array([target is None or target != target for target in targets]), noun, origin)
    return [str(target) for target in targets.tolist()]


def _refuse_missing(is_missing: np.ndarray, noun: str, origin: str) -> None:
    missing = np.flatnonzero(is_missing)
    if len(missing):
        raise DataError(
            f"missing targets: {len(missing):,}, the first of {noun} {missing[0]}.",
            where=origin,
            fix=f"drop those {noun}s, or give them a class.",
        )


def check_classes(counts: Mapping[str, int], origin: str, noun: str = "picture") -> list[str]:
    """Notes on the classes of the training examples. Raises DataError if they cannot be learned from."""
    total = sum(counts.values())
    if len(counts) < 2:
        raise DataError(
            f"there is only one class ({first_names([*counts])}, {counted(total, noun)}); two are needed.",
            where=origin,
            fix=f"add {'a folder with pictures' if noun == 'picture' else noun + 's'} of another class.",
        )
    single = [name for name, count in counts.items() if count == 1]
    if 2 * len(single) > len(counts):
        raise DataError(
            f"{len(single):,} of {len(counts):,} classes have only one {noun}: nothing is left to evaluate them on.",
            where=origin,
            fix=f"check that the {'folders' if noun == 'picture' else 'targets'} are classes, or add {noun}s to them.",
        )
    notes = []
    if single:
        notes.append(
            listed(f"classes with one {noun}, which can be used for training or for evaluation but not both", single)
        )
    return notes + _near_twins(counts)


def _near_twins(names: Mapping[str, int]) -> list[str]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[unicodedata.normalize("NFKC", name).casefold().strip()].append(name)
    notes = []
    for twins in (twins for twins in alike.values() if len(twins) > 1):
        how = next(filter(None, (look_alike(name, twins) for name in twins)), "")
        shown = ", ".join(repr(name) for name in twins)
        notes.append(f"class names that look alike are kept apart: {shown}{f' ({how})' if how else ''}")
    return notes


def check_divided(splits: Mapping[str, Examples], origin: str, noun: str = "picture") -> None:
    """Raises DataError when dev or test has classes that train does not have."""
    if "train" not in splits:
        return
    known = set(splits["train"].index["label"].unique())
    for name, part in splits.items():
        strange = sorted(set(part.index["label"].unique()) - known)
        if strange:
            how = look_alike(strange[0], known)
            classes = "class folders" if noun == "picture" else "classes"
            raise DataError(
                f"{name} has {counted(len(strange), 'class', 'classes')} without {noun}s in train: "
                f"{first_names(strange)}{f' ({how})' if how else ''}.",
                where=origin,
                fix=f"spell {classes} the same way, add those classes to train, or remove them from {name}.",
            )
