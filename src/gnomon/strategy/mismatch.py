"""How train and dev differ: a two-sample classifier, the columns and tags that differ, and the effect on the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import DataError
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import newcombe
from gnomon.metrics.ranking import Area, area
from gnomon.strategy.wording import format_gap

if TYPE_CHECKING:
    from gnomon.strategy.appearance import Appearance
    from gnomon.strategy.diagnosis import Diagnosis

FOLDS = 5
FEWEST = 20  # examples per side
SHARED = 2.0  # variance of cross-fitted folds relative to independent ones, if the sides do not differ
ALPHA = 0.05


@dataclass(frozen=True)
class Shift:
    """How well a classifier distinguishes train from dev by what their examples look like."""

    auc: Interval  # 0.5: not at all; 1: always
    train_scores: np.ndarray  # (N,) probability of being a dev example, from a classifier that has not seen it
    dev_scores: np.ndarray  # (M,)

    @property
    def is_there(self) -> bool:
        return self.auc.low > 0.5


@dataclass(frozen=True, slots=True)
class ColumnShift:
    """One number that is larger, or smaller, in dev."""

    name: str
    auc: Interval  # probability that it is larger in a dev example than in a training one
    train: float  # median
    dev: float
    p_value: float  # corrected for the number of columns (Holm)


@dataclass(frozen=True, slots=True)
class TagShift:
    """One value of a tag that is more, or less, frequent in dev."""

    tag: str
    value: str
    train: float  # share of the training examples
    dev: float
    difference: Interval  # dev - train
    p_value: float  # corrected for the number of values (Holm)


def two_sample(
    train: np.ndarray,
    dev: np.ndarray,
    *,
    train_groups: np.ndarray | None = None,
    dev_groups: np.ndarray | None = None,
    seed: int = 0,
) -> Shift:
    """Train a classifier to distinguish (N, D) from (M, D), cross-fitted; NaN for missing values.

    Groups (N,) and (M,) of integer codes are kept whole in the folds and count as one in the interval. The area is the
    mean over folds, because scores of different folds come from different classifiers and cannot be compared. The folds
    are not independent, because the examples of each fold trained the classifiers of the others: every pair of folds
    counts twice, so the variance of the mean is up to twice that of independent folds. The interval uses that variance.
    Raises DataError for fewer than FEWEST examples per side, or no column.
    Source: Lopez-Paz and Oquab 2017; DeLong et al. 1988.
    """
    if min(len(train), len(dev)) < FEWEST or train.shape[1] == 0:
        raise DataError(
            f"{len(train):,} training and {len(dev):,} dev examples with {train.shape[1]:,} columns are too few.",
            fix=f"give at least {FEWEST} of each, and one column.",
        )
    values = np.vstack([train, dev])
    is_dev = np.r_[np.zeros(len(train), dtype=bool), np.ones(len(dev), dtype=bool)]
    groups = _joined_groups(train_groups, dev_groups, len(train), len(dev))
    fold = _folds(is_dev, groups, seed)
    scores = np.empty(len(values))
    areas: list[Area] = []
    for k in range(FOLDS):
        here = fold == k
        scores[here] = _fitted(values[~here], is_dev[~here], seed).predict_proba(values[here])[:, 1]
        found = area(scores[here], is_dev[here], groups=None if groups is None else groups[here])
        if found is not None:
            areas.append(found)
    value = float(np.mean([one.value for one in areas]))
    variance = SHARED * sum(one.variance for one in areas) / len(areas) ** 2
    whole = Area(value, variance, sum(one.fewest for one in areas)).interval()
    interval = Interval(value, whole.low, whole.high, f"DeLong, {len(areas)} folds")
    return Shift(interval, scores[: len(train)], scores[len(train) :])


def _fitted(values: np.ndarray, is_dev: np.ndarray, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    least = int(np.clip(len(values) // 40, 5, 20))
    return HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=8, min_samples_leaf=least, early_stopping=False, class_weight="balanced",
        random_state=seed % 2**31,
    ).fit(values, is_dev)  # fmt: skip


def _folds(is_dev: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    """(N + M,) in 0..FOLDS-1: both sides in proportion, groups whole."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(is_dev), dtype=np.int64)
    if groups is None:
        for side in (False, True):
            members = rng.permutation(np.flatnonzero(is_dev == side))
            fold[members] = np.arange(len(members)) % FOLDS
        return fold
    for side in (False, True):
        members = np.flatnonzero(is_dev == side)
        of_side, codes, counts = np.unique(groups[members], return_inverse=True, return_counts=True)
        order = rng.permutation(len(of_side))
        order = order[np.argsort(-counts[order], kind="stable")]  # large groups first, each to the emptiest fold
        loads, of_group = np.zeros(FOLDS), np.empty(len(of_side), dtype=np.int64)
        for group in order:
            of_group[group] = int(loads.argmin())
            loads[of_group[group]] += counts[group]
        fold[members] = of_group[codes]
    return fold


def _joined_groups(train: np.ndarray | None, dev: np.ndarray | None, num_train: int, num_dev: int) -> np.ndarray | None:
    if train is None and dev is None:
        return None
    first = np.arange(num_train) if train is None else np.unique(train, return_inverse=True)[1]
    second = np.arange(num_dev) if dev is None else np.unique(dev, return_inverse=True)[1]
    codes: np.ndarray = np.r_[first, second + int(first.max(initial=-1)) + 1]
    return codes


def shifted_columns(train: Appearance, dev: Appearance) -> tuple[ColumnShift, ...]:
    """The columns whose values differ significantly, each on its own, largest difference first."""
    from scipy.special import ndtr

    from gnomon.strategy.paired import holm

    is_dev = np.r_[np.zeros(len(train.values), dtype=bool), np.ones(len(dev.values), dtype=bool)]
    found: list[tuple[str, Interval, float, float, float]] = []
    for column, name in enumerate(train.names):
        ours, theirs = train.values[:, column], dev.values[:, column]
        both = np.r_[ours, theirs]
        known = np.isfinite(both)
        if known.sum() == 0 or np.ptp(both[known]) == 0:
            continue
        one = area(both[known], is_dev[known])
        if one is None:
            continue
        spread = math.sqrt(one.variance) if one.variance > 0 else 1 / (2 * math.sqrt(max(one.fewest, 1)))
        p = 2 * float(ndtr(-abs(one.value - 0.5) / max(spread, 1e-12)))
        found.append((name, one.interval(), float(np.nanmedian(ours)), float(np.nanmedian(theirs)), p))
    corrected = holm([one[4] for one in found])
    kept = [ColumnShift(*one[:4], p) for one, p in zip(found, corrected, strict=True) if p < ALPHA]
    return tuple(sorted(kept, key=lambda one: (-abs(one.auc.value - 0.5), one.name)))


def shifted_tags(
    train: Mapping[str, Sequence[str | None]], dev: Mapping[str, Sequence[str | None]]
) -> tuple[TagShift, ...]:
    """Values of tags whose share differs significantly, largest difference first (Fisher's exact test)."""
    from scipy.stats import fisher_exact

    from gnomon.strategy.paired import holm

    found: list[tuple[str, str, float, float, Interval, float]] = []
    for tag in dict.fromkeys([*train, *dev]):
        sides = [[one for one in side.get(tag, ()) if one is not None] for side in (train, dev)]
        if not all(sides):
            continue
        sizes = [len(side) for side in sides]
        for value in dict.fromkeys(one for side in sides for one in side):
            ours, theirs = (side.count(value) for side in sides)
            table = [[ours, sizes[0] - ours], [theirs, sizes[1] - theirs]]
            p = float(fisher_exact(table).pvalue)
            difference = newcombe(theirs, sizes[1], ours, sizes[0])
            found.append((tag, value, ours / sizes[0], theirs / sizes[1], difference, p))
    corrected = holm([one[5] for one in found])
    kept = [TagShift(*one[:5], p) for one, p in zip(found, corrected, strict=True) if p < ALPHA]
    return tuple(sorted(kept, key=lambda one: (-abs(one.difference.value), one.tag, one.value)))


@dataclass(frozen=True, slots=True)
class Effect:
    """Whether the shift makes the model err more."""

    is_harmful: bool | None  # None: there are too few examples to say
    difference: Interval | None
    text: str


def effect(shift: Shift, diagnosis: Diagnosis, dev_errors: np.ndarray | None) -> Effect:
    """From the ladder's mismatch gap if there is train-dev; otherwise from whether dev-like examples are harder.

    dev_errors: (M,) of the examples behind `shift.dev_scores`, in their order; None if unknown.
    """
    unit = diagnosis.unit
    if not shift.is_there:
        return Effect(None, None, "Train and dev look alike: there is no shift.")
    gap = next((gap for gap in diagnosis.gaps if gap.name == "data mismatch"), None)
    if gap is not None:
        found = Interval(gap.size, gap.low, gap.high, "train-dev to dev")
        return _effect(found, gap.floor, unit, "from train-dev to dev the error rises by")
    if dev_errors is None or unit is None or len(dev_errors) < 2 * FEWEST:
        return Effect(None, None, "The effect on the model is unknown: give target_data= to get a train-dev rung.")
    found = extra_error_where_dev_like(shift.dev_scores, dev_errors)
    floor = max((gap.floor for gap in diagnosis.gaps), default=0.0)
    return _effect(found, floor, unit, "on the half of dev that looks least like train the error is higher by")


def beyond_dev_text(shift: Shift, diagnosis: Diagnosis) -> str:
    """What the inputs of dev and test say about the gap between their errors."""
    gap = next((gap for gap in diagnosis.gaps if gap.name == "overfitting to dev"), None)
    if not shift.is_there:
        return "Dev and test look alike: an error gap between them is not due to their inputs."
    if gap is None:
        why = "another error on test may be due to where it comes from, not to overfitting to dev"
    elif gap.size > 0:
        size = format_gap(gap.size, diagnosis.unit)
        why = f"the {size} from dev to test may be due to where they come from, not to overfitting to dev"
    else:
        why = "test does not measure what dev was chosen for"
    return f"Dev and test look different: {why}. Draw both at random from one source."


def _effect(found: Interval, floor: float, unit: str | None, what: str) -> Effect:
    """It hurts if it is surely above 0 and measured above the floor: how much above may stay open."""
    size = f"{what} {format_gap(found.value, unit)} [{_plain(found.low, unit)}, {_plain(found.high, unit)}]"
    if found.low > 0 and found.value > floor:
        return Effect(True, found, f"The shift hurts: {size}.")
    if found.high <= floor:
        return Effect(
            False, found, f"The shift is harmless so far: {size}, which is at most {format_gap(floor, unit)}."
        )
    return Effect(None, found, f"There are too few examples to say whether the shift hurts: {size}.")


def _plain(value: float, unit: str | None) -> str:
    return format_gap(value, unit).split(" ", 1)[0]


def extra_error_where_dev_like(scores: np.ndarray, errors: np.ndarray) -> Interval:
    """Mean error of the half with the higher scores minus that of the other half (Welch's interval); both (M,)."""
    from scipy.special import stdtrit

    order = np.argsort(scores, kind="stable")
    low, high = errors[order[: len(order) // 2]], errors[order[len(order) // 2 :]]
    value = float(high.mean() - low.mean())
    parts = [float(half.var(ddof=1)) / len(half) for half in (low, high)]
    variance = sum(parts)
    if variance == 0:
        rule_of_three = 3 / len(low)  # nothing varies: for example, no errors at all
        return Interval(value, value - rule_of_three, value + rule_of_three, "rule of three")
    freedom = variance**2 / sum(
        part**2 / (len(half) - 1) for part, half in zip(parts, (low, high), strict=True) if part > 0
    )
    reach = float(stdtrit(freedom, 0.975)) * math.sqrt(variance)
    return Interval(value, value - reach, value + reach, "Welch")
