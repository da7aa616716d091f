"""Which examples to train on and to evaluate on: train, train-dev, dev, test; in proportion, by group or by time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import Examples
from gnomon.core.seeds import derive
from gnomon.data.drawing import EMPTY, codes_of, counted, draw, others, parts_of, size_notes

if TYPE_CHECKING:
    import polars as pl

E = TypeVar("E", bound=Examples)

SMALL_SET = 10_000  # examples up to which dev and test get SMALL_SHARE each
SMALL_SHARE = 0.20
SHRINKING = 0.65  # a hundred times more examples, a twentieth of the share: 20 % of 10,000 is 1 % of 1,000,000
TARGET_SHARE = 0.25  # of a small target set, to dev and to test each; the other half is trained on
ENOUGH_TO_JUDGE = 1_000  # target examples that dev gets before train gets any


@dataclass(frozen=True)
class Division:
    """Positions in the index that was split, each sorted int64; `test` may be empty. Notes report anything unusual."""

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetDivision:
    """Positions in the source's index and in the target's, each sorted int64. Dev and test are target data only."""

    source_train: np.ndarray
    source_train_dev: np.ndarray
    target_train: np.ndarray
    target_train_dev: np.ndarray
    target_dev: np.ndarray
    target_test: np.ndarray
    notes: tuple[str, ...] = ()


def own_splits(examples: E, sizes: Sequence[tuple[str, int]]) -> dict[str, E]:
    """The splits that a source has of its own, one after the other; without any, "all"."""
    if not sizes:
        return {"all": examples}
    starts = np.cumsum([0, *(size for _, size in sizes)])
    return {
        name: examples.take(np.arange(start, start + size)) for (name, size), start in zip(sizes, starts, strict=False)
    }


def automatic_share(total: int) -> float:
    """The share of `total` examples that dev gets, and test too.

    20 % up to 10,000 examples, then 0.2 (N / 10,000)^-0.65: 60/20/20 for small sets, 80/10/10 around 30,000,
    98/1/1 at a million, less beyond. The number of examples never falls as the set grows, nor does train's share.
    """
    return SMALL_SHARE * math.pow(SMALL_SET / max(total, SMALL_SET), SHRINKING)


def divide(
    index: pl.DataFrame, *, dev: float | None, test: float | None, by_time: bool, seed: int, are_parts: bool = False
) -> Division:  # fmt: skip
    """Split examples into train, dev and test.

    `dev` and `test` are shares (None: by size; test may be 0). Classes keep their proportions, groups stay on one
    side; `by_time` puts train before dev before test and never separates equal times; where the examples `are_parts` of
    one text, the notes say so with their ids. Except by time, an example's
    split depends on the seed and its id, not on the order of rows, and rarely changes when examples are added.
    Raises UsageError for shares that leave nothing for train, DataError if the data cannot be split.
    """
    total = len(index)
    shares = _shares(total, dev, test)
    if by_time:
        return _divide_by_time(index, shares, may_drop_test=test is None, are_parts=are_parts)
    parts, notes = draw(index, shares, derive(seed, "split"), may_drop_test=test is None)
    taken_test, taken_dev = parts if len(parts) == 2 else (EMPTY, parts[0])
    return Division(others(total, *parts), taken_dev, taken_test, notes)


def carve(index: pl.DataFrame, share: float, *, seed: int, name: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """(rest, held out, notes): hold out a share of examples of the same kind, by class and group as `divide` does.

    `name` is what the part is for ("train_dev"): a different name draws different examples. Raises as `divide` does.
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of {share:g} cannot be held out.", fix="give a share above 0 and below 1.")
    (held,), notes = draw(index, (share,), derive(seed, "split", name))
    return others(len(index), held), held, notes


def divide_two(
    source: pl.DataFrame,
    target: pl.DataFrame,
    *,
    dev: float | None,
    test: float | None,
    train_dev: float | None,
    seed: int,
) -> TargetDivision:
    """Split when training is on one distribution and another one is the target.

    Dev and test come from `target` alone. `dev` and `test` are shares of the target examples; None: a quarter each
    (less above 10,000, as in `automatic_share`; of a small target set whatever makes 1,000, up to all of it). The
    remaining target examples are trained on. `train_dev` is a share of all that is trained on; None: as many examples
    as dev has, at most a tenth. Groups that are also in the source are never evaluated. Raises as `divide` does.
    """
    shares = _target_shares(len(target), dev, test)
    shared = _also_in(target["group"], source["group"])
    parts, notes = draw(
        target, shares, derive(seed, "split", "target"), may_drop_test=test is None, pinned=shared, may_take_all=True
    )
    target_test, target_dev = parts if len(parts) == 2 else (EMPTY, parts[0])
    target_train = others(len(target), *parts)
    trained = _together(source, target[target_train])
    if train_dev is None:
        train_dev = min(0.1, len(target_dev) / max(len(trained), 1))
    train, held, held_notes = carve(trained, train_dev, seed=seed, name="train_dev")
    num_source = len(source)
    if shared.any():
        number = counted(int(shared.sum()), "example")
        notes += (f"{number} of the target data in groups that the source has too: trained on.",)
    return TargetDivision(
        train[train < num_source],
        held[held < num_source],
        target_train[train[train >= num_source] - num_source],
        target_train[held[held >= num_source] - num_source],
        target_dev,
        target_test,
        notes + held_notes,
    )


def in_folds(index: pl.DataFrame, folds: int, *, seed: int) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """The positions that each fold judges, sorted int64 and disjoint, and notes; by class and group as `divide` does.

    They are all examples but those of a class that would otherwise be missing from the examples a fold trains on.
    Raises DataError if there are too few examples or groups.
    """
    units, what = len(index), "example"
    if index["group"].null_count() < units:
        units, what = index["group"].n_unique(), "group"
    if units < 2 * folds:
        raise DataError(
            f"{counted(units, what)} cannot make {folds} folds: it takes {2 * folds}.",
            fix="give fewer folds, or leave folds out.",
        )
    parts, _ = draw(index, (1 / folds,) * (folds - 1), derive(seed, "split", "folds"))
    parts.append(others(len(index), *parts))
    label = index["label"].cast(str)
    kept = 0
    for number, part in enumerate(parts):
        known = label.gather(others(len(index), part)).unique()
        is_known = (label.gather(part).is_in(known.implode()) | label.gather(part).is_null()).to_numpy()
        parts[number], kept = part[is_known], kept + int((~is_known).sum())
    about = "of a class that no other fold has: trained on, never judged."
    return parts, ((f"{counted(kept, 'example')} {about}",) if kept else ())


# --- shares -------------------------------------------------------------------------------------------------------
def _shares(total: int, dev: float | None, test: float | None) -> tuple[float, ...]:
    """(test, dev), or (dev,) if there is to be no test; test comes first so that dev's share never moves it."""
    automatic = automatic_share(total)
    if dev is None:
        dev = automatic if test is None else min(automatic, (1 - test) / 2)
    if test is None:
        test = min(automatic, (1 - dev) / 2)
    if not (dev > 0 and test >= 0 and dev + test < 1):
        raise UsageError(
            f"split.dev={dev:g} and split.test={test:g} leave nothing for train or dev.",
            fix="give shares above 0 whose sum is below 1, e.g. split.dev=0.2 split.test=0.2.",
        )
    return (test, dev) if test else (dev,)


def _target_shares(total: int, dev: float | None, test: float | None) -> tuple[float, ...]:
    """As `_shares`, of the target examples: together they may be all of them."""
    wanted = TARGET_SHARE / SMALL_SHARE * automatic_share(total)
    automatic = min(1.0 if test == 0 else 0.5, max(wanted, ENOUGH_TO_JUDGE / max(total, 1)))
    if dev is None:
        dev = min(automatic, 1 - (test or 0))
    if test is None:
        test = min(automatic, 1 - dev)
    if not (dev > 0 and test >= 0 and dev + test <= 1 + 1e-9):
        raise UsageError(
            f"split.dev={dev:g} and split.test={test:g} exceed the target data.",
            fix="give shares of the target data above 0 whose sum is at most 1, e.g. split.dev=0.5 split.test=0.5.",
        )
    return (test, dev) if test else (dev,)


# --- by time ------------------------------------------------------------------------------------------------------
def _divide_by_time(
    index: pl.DataFrame, shares: tuple[float, ...], *, may_drop_test: bool, are_parts: bool
) -> Division:  # fmt: skip
    time = index["time"]
    missing = time.is_null() | (time.is_nan() if time.dtype.is_float() else False)
    if missing.any():
        raise DataError(
            f"{counted(int(missing.sum()), 'example')} without a time, the first with id "
            f"{index['id'].filter(missing)[0]}.",
            fix="fill in the time, or leave data.time out to split at random.",
        )
    total, code = len(index), codes_of(time)
    starts = np.cumsum(np.bincount(code))[:-1]  # where a new time begins, once sorted
    notes: list[str] = []
    if len(shares) == 2 and len(starts) == 1 and may_drop_test:
        shares, notes = shares[1:], ["There are only two distinct times: no test split was made."]
    if len(starts) < len(shares):
        raise DataError(
            f"{counted(len(starts) + 1, 'distinct time')} cannot be split into train and {parts_of(shares)}.",
            fix="give finer times, or leave data.time out to split at random.",
        )
    wanted = [round(share * total) for share in shares]
    first = _nearest(starts[: len(starts) - len(shares) + 1], total - sum(wanted))
    second = first + 1 + _nearest(starts[first + 1 :], total - wanted[0]) if len(shares) == 2 else len(starts)
    train, test = np.flatnonzero(code <= first), np.flatnonzero(code > second)
    dev = np.flatnonzero((code > first) & (code <= second))
    _refuse_crossing_groups(index["group"], train, dev, test)
    held = [test, dev] if len(shares) == 2 else [dev]
    notes += size_notes(held, wanted, total, "equal times stay together")
    held_out = {name: part for name, part in (("dev", dev), ("test", test)) if len(part)}
    how = "Split in the order of the text" if are_parts else "Split by time"
    firsts = [index["id"][int(part[0])] if are_parts else time[part].min() for part in held_out.values()]
    begins = [f"{name} from {first!s}" for name, first in zip(held_out, firsts, strict=True)]
    return Division(train, dev, test, (f"{how}: {', '.join(begins)}.", *notes))


def _nearest(values: np.ndarray, wanted: int) -> int:
    return int(np.abs(values - wanted).argmin())


def _refuse_crossing_groups(group: pl.Series, *parts: np.ndarray) -> None:
    if group.null_count() == len(group):
        return
    side = np.empty(len(group), dtype=np.int64)
    for i, part in enumerate(parts):
        side[part] = i
    known = group.is_not_null().to_numpy()
    code, side = codes_of(group.filter(group.is_not_null())), side[known]
    seen = np.unique(code * len(parts) + side) // len(parts)
    crossing = np.flatnonzero(np.bincount(seen) > 1)
    if len(crossing):
        raise DataError(
            f"data.group and data.time conflict: {counted(len(crossing), 'group')} with examples on both "
            f"sides of a split by time, e.g. {group.unique().sort().drop_nulls()[int(crossing[0])]}.",
            fix="leave out data.time to keep groups whole, or data.group to split by time.",
        )


def _also_in(values: pl.Series, others: pl.Series) -> np.ndarray:
    """(N,) bool: which values occur among the others; a missing value never does."""
    import polars as pl

    wanted = others.drop_nulls().cast(pl.String).unique()
    return values.cast(pl.String).is_in(wanted.implode()).fill_null(False).to_numpy()


def _together(source: pl.DataFrame, target: pl.DataFrame) -> pl.DataFrame:
    """One index of both, in which an id of the source never equals an id of the target."""
    import polars as pl

    return pl.concat(
        index.select(
            id=pl.lit(origin) + pl.col("id").cast(pl.String),
            stratum=pl.col("stratum").cast(pl.String),
            group=pl.col("group").cast(pl.String),
        )
        for origin, index in (("source/", source), ("target/", target))
    )
