"""Drawing parts of a set at random: classes in proportion, groups kept whole, independent of the order of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.seeds import derive

if TYPE_CHECKING:
    import polars as pl

FEWEST_IN_TENTHS = 20  # examples with a numeric target from which its tenths are kept in proportion
ROWS_PER_CHUNK = 16_384  # strings hashed at a time: their numbers stay in the CPU cache, 5 times faster
EMPTY = np.empty(0, dtype=np.int64)


def draw(
    index: pl.DataFrame,
    shares: tuple[float, ...],
    stream: int,
    *,
    may_drop_test: bool = False,
    pinned: np.ndarray | None = None,
    may_take_all: bool = False,
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """One part per share, disjoint, and notes. `pinned` (N,) bool always stay in the rest; so does at least something,
    unless `may_take_all`. The first part is dropped (one array is returned) if there is too little and it may be.
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
    return parts, (*notes, "There are too few examples to split in three: no test split was made.")


def _draw_examples(
    index: pl.DataFrame, shares: tuple[float, ...], stream: int, may_take_all: bool
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """By class, each part within one example of its share of every class with at least two examples."""
    stratum = codes_of(index["stratum"])
    if index["stratum"].dtype.is_numeric() and len(index) < FEWEST_IN_TENTHS:
        stratum = np.zeros_like(stratum)  # a tenth of so few is nothing, and no class is lost where there are none
    count = np.bincount(stratum)  # (K,)
    keep = 0 if may_take_all else 1
    can_be_held = np.where(count > keep, count, 0)
    room = np.maximum(count - keep, 0)
    if room.sum() < len(shares):
        raise DataError(
            f"{counted(len(index), 'example')} in {counted(len(count), 'class', 'classes')} cannot be split into "
            f"train and {parts_of(shares)}: a class needs two, one to train on and one to evaluate.",
            fix="add examples, merge classes" + (", or set split.test=0." if len(shares) == 2 else "."),
        )
    order = np.lexsort((_hash(index["id"], stream), stratum))
    rank = np.empty(len(index), dtype=np.int64)  # of an example within its class, at random
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

    `behind` (K,) is how much each class is owed by this part and those before it. If `room` is short the sum may
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
    singles = np.flatnonzero(count == 1) if keep and len(count) > 1 else EMPTY
    if len(singles):
        named = _named(stratum, codes, singles)
        notes.append(
            f"{counted(len(singles), 'class', 'classes')} with a single example ({named}): trained on, never evaluated."
        )
    unseen = int((np.bincount(codes[dev], minlength=len(count)) == 0).sum()) - len(singles)
    if unseen > 0:
        notes.append(f"{counted(unseen, 'class', 'classes')} without an example in dev: too small for one example.")
    return tuple(notes)


def _draw_groups(
    index: pl.DataFrame, shares: tuple[float, ...], stream: int, pinned: np.ndarray | None, may_take_all: bool
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Whole groups, in a random order that mixes the classes evenly, until a part comes closest to its share."""
    group, key = _group_codes(index, stream)
    size = np.bincount(group)  # (G,)
    main, single = _main_stratum(group, codes_of(index["stratum"]), len(size))
    fixed = np.zeros(len(size), dtype=bool)
    if pinned is not None:
        fixed[group[pinned]] = True
    wanted = [max(1, round(share * len(index))) for share in shares]
    notes: list[str] = []
    kept = fixed | single  # a class found in one group alone can be trained on or evaluated, not both
    if single.any() and size[~kept].sum() >= sum(wanted) and (~kept).sum() >= len(wanted):
        notes.append("Classes found in only one group are trained on, never evaluated.")
    else:
        kept = fixed
    spare = 0 if may_take_all or kept.any() else 1
    order = _mixed_order(key, main)
    order = order[~kept[order]]
    if len(order) < len(shares) + spare:
        raise DataError(
            f"{counted(len(size), 'group')} in data.group cannot be split into train and "
            f"{parts_of(shares)}, because a group stays on one side.",
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
    notes += size_notes(parts, wanted, len(index), "groups are few or large")
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
    """(N,) number of each example's group, and (G,) the groups' random keys. No group: a group of its own."""
    import polars as pl

    key = _hash(index["group"].cast(pl.String).fill_null(""), stream)
    is_alone = index["group"].is_null()
    if is_alone.any():
        key[is_alone.to_numpy()] = _hash(index["id"].filter(is_alone), derive(stream, "alone"))
    keys, group = np.unique(key, return_inverse=True)
    return group, keys


def _main_stratum(group: np.ndarray, stratum: np.ndarray, num_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """(G,) the most frequent class of each group, and (G,) bool whether it has all of one of several classes."""
    num_strata = int(stratum.max()) + 1
    pair, count = np.unique(group * num_strata + stratum, return_counts=True)
    of_group, of_stratum = np.divmod(pair, num_strata)
    main = np.empty(num_groups, dtype=np.int64)
    by_count = np.lexsort((-of_stratum, count))
    main[of_group[by_count]] = of_stratum[by_count]  # the last one written, the most frequent, stays
    single = np.zeros(num_groups, dtype=bool)
    if num_strata > 1:
        single[of_group[(np.bincount(of_stratum) == 1)[of_stratum]]] = True
    return main, single


def _mixed_order(key: np.ndarray, main: np.ndarray) -> np.ndarray:
    """A random order in which every stretch has the classes in about their proportions."""
    count = np.bincount(main)
    by_class = np.lexsort((key, main))
    place = np.empty(len(key))
    place[by_class] = np.arange(len(key)) - np.repeat(np.cumsum(count) - count, count)
    return np.lexsort((key, (place + key / 2.0**64) / count[main]))


def others(total: int, *parts: np.ndarray) -> np.ndarray:
    is_left = np.ones(total, dtype=bool)
    for part in parts:
        is_left[part] = False
    return np.flatnonzero(is_left)


def codes_of(series: pl.Series) -> np.ndarray:
    """(N,) int64: the rank of each value among the distinct ones, sorted; missing values share a rank after them."""
    ranks = series.rank("dense")
    return ranks.fill_null(cast("int", ranks.max() or 0) + 1).to_numpy().astype(np.int64) - 1


def _named(series: pl.Series, codes: np.ndarray, wanted: np.ndarray) -> str:
    """The values of some codes, at most three, for display."""
    shown = [str(series[int((codes == code).argmax())]) for code in wanted[:3]]
    return ", ".join(shown) + (", ..." if len(wanted) > 3 else "")


def size_notes(parts: Sequence[np.ndarray], wanted: Sequence[int], total: int, why: str) -> list[str]:
    """Sentences on parts that are not as large as they should be: dev, or test and dev; more of them are folds."""
    are_folds = len(parts) > 2
    names = [f"fold {number + 1}" for number in range(len(parts))] if are_folds else ("test", "dev")[-len(parts) :]
    return [
        f"{name} has {len(part) / total:.1%} of the examples instead of {number / total:.1%}: {why}."
        for name, part, number in zip(names, parts, wanted, strict=True)
        if abs(len(part) - number) > max(1, 0.1 * number)
    ]


def counted(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def parts_of(shares: Sequence[float]) -> str:
    return "dev and test" if len(shares) == 2 else "a held-out part"


def _hash(values: pl.Series, stream: int) -> np.ndarray:
    """(N,) uint64: a random number for each value, the same everywhere and for ever (polars' own hash is not).

    Strings are hashed by the sum over their bytes of one random number for each byte at each place.
    """
    import polars as pl

    if values.dtype.is_integer():
        return mixed(values.to_numpy().astype(np.uint64) + np.uint64(stream))
    strings = values.cast(pl.String)
    hashes: list[np.ndarray] = []
    for chunk in strings.to_frame().iter_slices(ROWS_PER_CHUNK):
        text, ends = bytes_of(chunk.to_series())
        lengths = np.diff(ends, prepend=0)
        place = np.arange(len(text)) - np.repeat(ends - lengths, lengths)
        by_byte = mixed(text + (place.astype(np.uint64) << np.uint64(8)) + np.uint64(stream))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(by_byte, dtype=np.uint64)])  # wraps around on purpose
        hashes.append(mixed(sums[ends] - sums[ends - lengths]))
    return np.concatenate(hashes) if hashes else np.empty(0, np.uint64)


def bytes_of(strings: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """The UTF-8 bytes of all strings, end to end, and (N,) where each one ends."""
    text = strings.str.join("").item() or ""
    return np.frombuffer(text.encode(), dtype=np.uint8), np.cumsum(strings.str.len_bytes().to_numpy(), dtype=np.int64)


def mixed(values: np.ndarray) -> np.ndarray:
    """Every bit of the result depends on every bit of the value. Source: Steele et al. 2014, SplitMix64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values
