"""Who is trained on and who is judged: train, train-dev, dev and test, in proportion, by group or by time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from gnomon.core.errors import DataError, UsageError
from gnomon.core.seeds import derive

if TYPE_CHECKING:
    import polars as pl

SMALL_SET = 10_000  # examples up to which dev and test get SMALL_SHARE each
SMALL_SHARE = 0.20
SHRINKING = 0.65  # a hundred times more examples, a twentieth of the share: 20 % of 10,000 is 1 % of 1,000,000
FEWEST_IN_TENTHS = 20  # examples with a number to predict from which its tenths are kept in proportion
TARGET_SHARE = 0.25  # of a small target set, to dev and to test each; the other half is trained on
ENOUGH_TO_JUDGE = 1_000  # examples of the target distribution that dev gets before train gets any
ROWS_A_CHUNK = 16_384  # strings hashed at a time: their numbers stay in the cache, five times faster than all at once


@dataclass(frozen=True)
class Division:
    """Positions in the index that was divided, each sorted int64; `test` may be empty. Notes say what is unusual."""

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetDivision:
    """Positions in the source's index and in the target's, each sorted int64. Dev and test are target data alone."""

    source_train: np.ndarray
    source_train_dev: np.ndarray
    target_train: np.ndarray
    target_train_dev: np.ndarray
    target_dev: np.ndarray
    target_test: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changes:
    """How the examples of a run differ from those there are now."""

    added: int = 0
    removed: int = 0
    changed: int = 0  # same id, other content
    moved: int = 0  # same id, another split

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)


def automatic_share(total: int) -> float:
    """The share of `total` examples that dev gets, and test as well.

    20 % up to 10,000 examples, then 0.2 (N / 10,000)^-0.65: 60/20/20 for small sets, 80/10/10 around 30,000,
    98/1/1 at a million, less beyond. The number of examples never falls as the set grows, nor does train's share.
    """
    return SMALL_SHARE * math.pow(SMALL_SET / max(total, SMALL_SET), SHRINKING)


def divide(index: pl.DataFrame, *, dev: float | None, test: float | None, by_time: bool, seed: int) -> Division:
    """Divide examples into train, dev and test.

    `dev` and `test` are shares (None: by size; test may be 0). Classes keep their proportions, groups stay on one
    side; `by_time` puts train before dev before test and never parts equal times. Except by time, an example's
    place depends on the seed and its id, not on the order of rows, and seldom changes when examples are added.
    Raises UsageError on shares that leave train nothing, DataError where the data cannot be divided.
    """
    total = len(index)
    shares = _shares(total, dev, test)
    if by_time:
        return _divide_by_time(index, shares, may_drop_test=test is None)
    parts, notes = _draw(index, shares, derive(seed, "split"), may_drop_test=test is None)
    taken_test, taken_dev = parts if len(parts) == 2 else (_NOBODY, parts[0])
    return Division(_others(total, *parts), taken_dev, taken_test, notes)


def carve(index: pl.DataFrame, share: float, *, seed: int, name: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """(rest, held out, notes): hold out a share of examples of the same kind, by class and group as `divide` does.

    `name` is what the part is for ("train_dev"): another name draws other examples. Raises as `divide` does.
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of {share:g} cannot be held out.", fix="give a share above 0 and below 1.")
    (held,), notes = _draw(index, (share,), derive(seed, "split", name))
    return _others(len(index), held), held, notes


def divide_two(
    source: pl.DataFrame,
    target: pl.DataFrame,
    *,
    dev: float | None,
    test: float | None,
    train_dev: float | None,
    seed: int,
) -> TargetDivision:
    """Divide when one distribution is trained on and another one counts.

    Dev and test come from `target` alone. `dev` and `test` are shares of the target examples; None: a quarter each
    (less above 10,000, as in `automatic_share`; of a small target set whatever makes 1,000, up to all of it). Target
    examples left over are trained on. `train_dev` is a share of all that is trained on; None: as many examples as
    dev has, at most a tenth. Groups seen in the source are never judged. Raises as `divide` does.
    """
    shares = _target_shares(len(target), dev, test)
    shared = _also_in(target["group"], source["group"])
    parts, notes = _draw(
        target, shares, derive(seed, "split", "target"), may_drop_test=test is None, pinned=shared, may_take_all=True
    )
    target_test, target_dev = parts if len(parts) == 2 else (_NOBODY, parts[0])
    target_train = _others(len(target), *parts)
    trained = _together(source, target[target_train])
    if train_dev is None:
        train_dev = min(0.1, len(target_dev) / max(len(trained), 1))
    train, held, held_notes = carve(trained, train_dev, seed=seed, name="train_dev")
    num_source = len(source)
    if shared.any():
        number = _counted(int(shared.sum()), "example")
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


def fingerprint_of(ids: pl.Series, fingerprints: np.ndarray) -> str:
    """SHA-256 of a split as 64 hex digits: the same for the same examples in any order, another for any other set.

    `ids` and `fingerprints` are those of `Examples.index` and `Examples.fingerprints()`.
    """
    import polars as pl

    table = pl.DataFrame({"id": ids.cast(pl.String), "fingerprint": fingerprints}).sort("id", "fingerprint")
    text, ends = _bytes_of(table["id"])
    digest = hashlib.sha256()
    for part in (np.diff(ends, prepend=0), text, table["fingerprint"].to_numpy()):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def compare_splits(recorded: Mapping[str, pl.DataFrame], now: Mapping[str, pl.DataFrame]) -> Changes:
    """Count what changed between two sets of splits, given as tables with the columns `id` and `fingerprint`."""
    import polars as pl

    def together(splits: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        columns = [pl.col("id").cast(pl.String), pl.col("fingerprint").cast(pl.UInt64)]
        return pl.concat([table.select(*columns, split=pl.lit(name)) for name, table in splits.items()])

    before, after = together(recorded), together(now)
    both = before.join(after, on="id", suffix="_now")
    return Changes(
        added=len(after) - len(both),
        removed=len(before) - len(both),
        changed=int((both["fingerprint"] != both["fingerprint_now"]).sum()),
        moved=int((both["split"] != both["split_now"]).sum()),
    )


# --- shares -------------------------------------------------------------------------------------------------------
_NOBODY = np.empty(0, dtype=np.int64)


def _shares(total: int, dev: float | None, test: float | None) -> tuple[float, ...]:
    """(test, dev), or (dev,) when there is to be no test; test comes first so that dev's share never moves it."""
    automatic = automatic_share(total)
    if dev is None:
        dev = automatic if test is None else min(automatic, (1 - test) / 2)
    if test is None:
        test = min(automatic, (1 - dev) / 2)
    if not (dev > 0 and test >= 0 and dev + test < 1):
        raise UsageError(
            f"split.dev={dev:g} and split.test={test:g} leave train or dev nothing.",
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
            f"split.dev={dev:g} and split.test={test:g} are more than all of the target data.",
            fix="give shares of the target data above 0 whose sum is at most 1, e.g. split.dev=0.5 split.test=0.5.",
        )
    return (test, dev) if test else (dev,)


# --- drawing by chance --------------------------------------------------------------------------------------------
def _draw(
    index: pl.DataFrame,
    shares: tuple[float, ...],
    stream: int,
    *,
    may_drop_test: bool = False,
    pinned: np.ndarray | None = None,
    may_take_all: bool = False,
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """One part a share, disjoint, and notes. `pinned` (N,) bool are left over whatever comes; so is something, unless
    `may_take_all`. The first part is left out (one array comes back) where there is too little and it may be dropped.
    """

    def attempt(shares: tuple[float, ...]) -> tuple[list[np.ndarray], tuple[str, ...]]:
        if index["group"].null_count() < len(index):
            return _draw_groups(index, shares, stream, pinned, may_take_all)
        return _draw_examples(index, shares, stream, may_take_all)

    try:
        return attempt(shares)
    except DataError:
        if not may_drop_test or len(shares) == 1:
            raise
    parts, notes = attempt(shares[1:])
    return parts, (*notes, "There is too little to divide in three: no test split was made.")


def _draw_examples(
    index: pl.DataFrame, shares: tuple[float, ...], stream: int, may_take_all: bool
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """By class, each part within one example of its share of every class that has two examples or more."""
    stratum = _codes(index["stratum"])
    if index["stratum"].dtype.is_numeric() and len(index) < FEWEST_IN_TENTHS:
        stratum = np.zeros_like(stratum)  # a tenth of so few is nobody, and no class is lost where there are none
    count = np.bincount(stratum)  # (K,)
    keep = 0 if may_take_all else 1
    can_be_held = np.where(count > keep, count, 0)
    room = np.maximum(count - keep, 0)
    if room.sum() < len(shares):
        raise DataError(
            f"{_counted(len(index), 'example')} in {_counted(len(count), 'class', 'classes')} cannot be divided into "
            f"train and {_parts(shares)}: a class needs two to be trained on and judged.",
            fix="add examples, merge classes" + (", or set split.test=0." if len(shares) == 2 else "."),
        )
    order = np.lexsort((_hash(index["id"], stream), stratum))
    rank = np.empty(len(index), dtype=np.int64)  # of an example within its class, by chance
    rank[order] = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)
    taken, quota = np.zeros_like(count), np.zeros(len(count))
    parts: list[np.ndarray] = []
    for i, share in enumerate(shares):
        quota = quota + share * can_be_held
        total = min(max(1, round(share * can_be_held.sum())), int((room - taken).sum()) - (len(shares) - 1 - i))
        number = _apportion(total, share * can_be_held, room - taken, quota - taken)
        parts.append(np.flatnonzero((rank >= taken[stratum]) & (rank < (taken + number)[stratum])))
        taken += number
    return parts, _class_notes(index["stratum"], stratum, count, parts[-1], keep)


def _apportion(total: int, quota: np.ndarray, room: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """(K,) whole numbers that add up to `total`, each within one of its quota: the largest remainders round up.

    `behind` (K,) is how much each class is owed by this part and those before it. Where `room` is short the sum may
    fall below `total`.
    """
    number: np.ndarray = np.minimum(np.floor(quota + 1e-9).astype(np.int64), room)
    missing = total - int(number.sum())
    if missing < 0:
        number[number.argmax()] += missing
        return number
    by_claim = np.argsort(number - behind, kind="stable")
    number[by_claim[(number < room)[by_claim]][:missing]] += 1
    return number


def _class_notes(
    stratum: pl.Series, codes: np.ndarray, count: np.ndarray, dev: np.ndarray, keep: int
) -> tuple[str, ...]:
    if stratum.dtype.is_numeric():  # tenths of a number, not classes
        return ()
    notes = []
    singles = np.flatnonzero(count == 1) if keep and len(count) > 1 else _NOBODY
    if len(singles):
        named = _named(stratum, codes, singles)
        notes.append(
            f"{_counted(len(singles), 'class', 'classes')} with a single example ({named}): trained on, never judged."
        )
    unseen = int((np.bincount(codes[dev], minlength=len(count)) == 0).sum()) - len(singles)
    if unseen > 0:
        notes.append(
            f"{_counted(unseen, 'class', 'classes')} without an example in dev: too small for its share of one."
        )
    return tuple(notes)


def _draw_groups(
    index: pl.DataFrame, shares: tuple[float, ...], stream: int, pinned: np.ndarray | None, may_take_all: bool
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Whole groups, in an order by chance that mixes the classes evenly, until a part comes closest to its share."""
    group, key = _group_codes(index, stream)
    size = np.bincount(group)  # (G,)
    main, lonely = _main_stratum(group, _codes(index["stratum"]), len(size))
    fixed = np.zeros(len(size), dtype=bool)
    if pinned is not None:
        fixed[group[pinned]] = True
    wanted = [max(1, round(share * len(index))) for share in shares]
    notes: list[str] = []
    kept = fixed | lonely  # a class found in one group alone can be trained on or judged, not both
    if lonely.any() and size[~kept].sum() >= sum(wanted) and (~kept).sum() >= len(wanted):
        notes.append("Classes found in one group only are trained on, never judged.")
    else:
        kept = fixed
    spare = 0 if may_take_all or kept.any() else 1
    order = _mixed_order(key, main)
    order = order[~kept[order]]
    if len(order) < len(shares) + spare:
        raise DataError(
            f"{_counted(len(size), 'group')} in data.group cannot be divided into train and "
            f"{_parts(shares)}, since a group stays on one side.",
            fix="add groups, or leave data.group out if its examples are independent of one another"
            + (", or set split.test=0." if len(shares) == 2 else "."),
        )
    parts: list[np.ndarray] = []
    for i, number in enumerate(wanted):
        chosen = _fill(size[order], number, at_most=len(order) - (len(wanted) - 1 - i) - spare)
        is_in = np.zeros(len(size), dtype=bool)
        is_in[order[chosen]] = True
        parts.append(np.flatnonzero(is_in[group]))
        order = np.delete(order, chosen)
    notes += _size_notes(parts, wanted, len(index), "groups are few or large")
    return parts, tuple(notes)


def _fill(size: np.ndarray, number: int, *, at_most: int) -> np.ndarray:
    """Which groups, in their order, together come close to `number` examples: at least one, at most `at_most`."""
    fits = np.flatnonzero(size <= number)
    if not len(fits):
        return np.array([size.argmin()])
    chosen = fits[: max(1, min(at_most, int(np.searchsorted(np.cumsum(size[fits]), number, side="right"))))]
    gap = number - int(size[chosen].sum())
    rest = np.delete(np.arange(len(size)), chosen)
    while len(rest) and len(chosen) < at_most:
        best = int(np.abs(size[rest] - gap).argmin())
        if abs(int(size[rest[best]]) - gap) >= gap:
            break
        gap -= int(size[rest[best]])
        chosen, rest = np.append(chosen, rest[best]), np.delete(rest, best)
    return chosen


def _group_codes(index: pl.DataFrame, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) number of each example's group, and (G,) the groups' keys of chance. No group: a group of its own."""
    import polars as pl

    key = _hash(index["group"].cast(pl.String).fill_null(""), stream)
    is_alone = index["group"].is_null()
    if is_alone.any():
        key[is_alone.to_numpy()] = _hash(index["id"].filter(is_alone), derive(stream, "alone"))
    keys, group = np.unique(key, return_inverse=True)
    return group, keys


def _main_stratum(group: np.ndarray, stratum: np.ndarray, num_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """(G,) the commonest class of each group, and (G,) bool whether it holds all examples of one of several classes."""
    num_strata = int(stratum.max()) + 1
    pair, count = np.unique(group * num_strata + stratum, return_counts=True)
    of_group, of_stratum = np.divmod(pair, num_strata)
    main = np.empty(num_groups, dtype=np.int64)
    by_count = np.lexsort((-of_stratum, count))
    main[of_group[by_count]] = of_stratum[by_count]  # the last one written, the commonest, stays
    lonely = np.zeros(num_groups, dtype=bool)
    if num_strata > 1:
        lonely[of_group[(np.bincount(of_stratum) == 1)[of_stratum]]] = True
    return main, lonely


def _mixed_order(key: np.ndarray, main: np.ndarray) -> np.ndarray:
    """An order by chance in which every stretch holds the classes in about their proportions."""
    count = np.bincount(main)
    by_class = np.lexsort((key, main))
    place = np.empty(len(key))
    place[by_class] = np.arange(len(key)) - np.repeat(np.cumsum(count) - count, count)
    return np.lexsort((key, (place + key / 2.0**64) / count[main]))


# --- by time ------------------------------------------------------------------------------------------------------
def _divide_by_time(index: pl.DataFrame, shares: tuple[float, ...], *, may_drop_test: bool) -> Division:
    time = index["time"]
    missing = time.is_null() | (time.is_nan() if time.dtype.is_float() else False)
    if missing.any():
        raise DataError(
            f"{_counted(int(missing.sum()), 'example')} without a time cannot be placed in time, the first with id "
            f"{index['id'].filter(missing)[0]}.",
            fix="fill in the time, or leave data.time out to divide by chance.",
        )
    total, code = len(index), _codes(time)
    starts = np.cumsum(np.bincount(code))[:-1]  # where a new time begins, once sorted
    notes: list[str] = []
    if len(shares) == 2 and len(starts) == 1 and may_drop_test:
        shares, notes = shares[1:], ["There are two different times only: no test split was made."]
    if len(starts) < len(shares):
        raise DataError(
            f"{_counted(len(starts) + 1, 'different time')} cannot be divided into train and {_parts(shares)}.",
            fix="give a finer time, or leave data.time out to divide by chance.",
        )
    wanted = [round(share * total) for share in shares]
    first = _nearest(starts[: len(starts) - len(shares) + 1], total - sum(wanted))
    second = first + 1 + _nearest(starts[first + 1 :], total - wanted[0]) if len(shares) == 2 else len(starts)
    train, test = np.flatnonzero(code <= first), np.flatnonzero(code > second)
    dev = np.flatnonzero((code > first) & (code <= second))
    _refuse_crossing_groups(index["group"], train, dev, test)
    held = [test, dev] if len(shares) == 2 else [dev]
    notes += _size_notes(held, wanted, total, "equal times stay together")
    begins = [f"{name} from {time[part].min()!s}" for name, part in (("dev", dev), ("test", test)) if len(part)]
    return Division(train, dev, test, (f"Divided by time: {', '.join(begins)}.", *notes))


def _nearest(values: np.ndarray, wanted: int) -> int:
    return int(np.abs(values - wanted).argmin())


def _refuse_crossing_groups(group: pl.Series, *parts: np.ndarray) -> None:
    if group.null_count() == len(group):
        return
    side = np.empty(len(group), dtype=np.int64)
    for i, part in enumerate(parts):
        side[part] = i
    known = group.is_not_null().to_numpy()
    code, side = _codes(group.filter(group.is_not_null())), side[known]
    seen = np.unique(code * len(parts) + side) // len(parts)
    crossing = np.flatnonzero(np.bincount(seen) > 1)
    if len(crossing):
        raise DataError(
            f"data.group and data.time contradict each other: {_counted(len(crossing), 'group')} with examples on both "
            f"sides of a split by time, e.g. {group.unique().sort().drop_nulls()[int(crossing[0])]}.",
            fix="leave out data.time to keep groups whole, or data.group to divide by time.",
        )


# --- small parts --------------------------------------------------------------------------------------------------
def _others(total: int, *parts: np.ndarray) -> np.ndarray:
    is_left = np.ones(total, dtype=bool)
    for part in parts:
        is_left[part] = False
    return np.flatnonzero(is_left)


def _codes(series: pl.Series) -> np.ndarray:
    """(N,) int64: the place of each value among the sorted different ones; missing values share a place after them."""
    ranks = series.rank("dense")
    return ranks.fill_null(cast("int", ranks.max() or 0) + 1).to_numpy().astype(np.int64) - 1


def _named(series: pl.Series, codes: np.ndarray, wanted: np.ndarray) -> str:
    """The values of some codes, at most three, for a person."""
    shown = [str(series[int((codes == code).argmax())]) for code in wanted[:3]]
    return ", ".join(shown) + (", ..." if len(wanted) > 3 else "")


def _size_notes(parts: Sequence[np.ndarray], wanted: Sequence[int], total: int, why: str) -> list[str]:
    names = ("test", "dev")[-len(parts) :]
    return [
        f"{name} has {len(part) / total:.1%} of the examples instead of {number / total:.1%}: {why}."
        for name, part, number in zip(names, parts, wanted, strict=True)
        if abs(len(part) - number) > max(1, 0.1 * number)
    ]


def _counted(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _parts(shares: Sequence[float]) -> str:
    return "dev and test" if len(shares) == 2 else "a held-out part"


def _also_in(values: pl.Series, others: pl.Series) -> np.ndarray:
    """(N,) bool: which values occur among the others; a missing value never does."""
    import polars as pl

    wanted = others.drop_nulls().cast(pl.String).unique()
    return values.cast(pl.String).is_in(wanted.implode()).fill_null(False).to_numpy()


def _together(source: pl.DataFrame, target: pl.DataFrame) -> pl.DataFrame:
    """One index of both, in which an id of the source never meets the same id of the target."""
    import polars as pl

    return pl.concat(
        index.select(
            id=pl.lit(origin) + pl.col("id").cast(pl.String),
            stratum=pl.col("stratum").cast(pl.String),
            group=pl.col("group").cast(pl.String),
        )
        for origin, index in (("source/", source), ("target/", target))
    )


def _hash(values: pl.Series, stream: int) -> np.ndarray:
    """(N,) uint64: a number by chance for each value, the same everywhere and for ever (polars' own hash is not).

    Strings are hashed by the sum over their bytes of one number by chance for each byte at each place.
    """
    import polars as pl

    if values.dtype.is_integer():
        return _mixed(values.to_numpy().astype(np.uint64) + np.uint64(stream))
    strings = values.cast(pl.String)
    hashes: list[np.ndarray] = []
    for chunk in strings.to_frame().iter_slices(ROWS_A_CHUNK):
        text, ends = _bytes_of(chunk.to_series())
        lengths = np.diff(ends, prepend=0)
        place = np.arange(len(text)) - np.repeat(ends - lengths, lengths)
        by_byte = _mixed(text + (place.astype(np.uint64) << np.uint64(8)) + np.uint64(stream))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(by_byte, dtype=np.uint64)])  # wraps round on purpose
        hashes.append(_mixed(sums[ends] - sums[ends - lengths]))
    return np.concatenate(hashes) if hashes else np.empty(0, np.uint64)


def _bytes_of(strings: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """The UTF-8 bytes of all strings, end to end, and (N,) where each one ends."""
    text = strings.str.join("").item() or ""
    return np.frombuffer(text.encode(), dtype=np.uint8), np.cumsum(strings.str.len_bytes().to_numpy(), dtype=np.int64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Every bit of the result depends on every bit of the value. Source: Steele et al. 2014, SplitMix64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values
