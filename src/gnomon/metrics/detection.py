"""How well boxes are found: average precision as COCO and Pascal VOC define it, miss rate; each with an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.known import mean_of_known, ratio
from gnomon.metrics.matching import IGNORED, RIGHT, Matches
from gnomon.metrics.resampling import ROUNDS_OF_CALLS, accelerated_interval, left_out_counts, resampled_counts

COCO_RECALLS = np.linspace(0, 1, 101)  # float64
VOC_RECALLS = np.linspace(0, 1, 11)  # of VOC 2007; from 2010 on the whole area counts
FALSE_ALARMS = np.logspace(-2, 0, 9)  # per picture. Source: Dollár et al. 2012, section 3.1
LEAST_MISS_RATE = 1e-10  # keeps the logarithm finite; as in Dollár's toolbox
FEWEST_ROUNDS = 100  # of the bootstrap on very large sets
WORK = 2_000_000_000  # predictions x thresholds x rounds of a bootstrap, a few seconds
AT_ONCE = 4_000_000  # predictions x rounds, bounds the memory

Measure = Callable[[Matches, np.ndarray], np.ndarray]  # matches, counts (R, N) of the N pictures -> (R,) or (R, S)


@final
@dataclass(frozen=True)
class CocoNumber:
    """One of the twelve numbers: of precision or recall, at one IoU or their mean, for one range of areas."""

    of: Literal["precision", "recall"]
    threshold: float | None = None  # the least IoU; None: the mean over all
    area: str = "all"
    most: int = 100  # predictions per picture and class

    def __call__(self, matches: Matches, counts: np.ndarray) -> np.ndarray:
        """(R,): for counts (R, N) of the pictures; NaN where there is nothing to find."""
        if self.of == "recall":
            table = recalls(matches, counts, area=self.area, most=self.most)
        else:
            table = precisions(matches, counts, area=self.area, threshold=self.threshold)
        return mean_of_known(table.reshape(len(table), -1))


COCO_NUMBERS = {
    "AP": CocoNumber("precision"),
    "AP50": CocoNumber("precision", threshold=0.5),
    "AP75": CocoNumber("precision", threshold=0.75),
    "AP small": CocoNumber("precision", area="small"),
    "AP medium": CocoNumber("precision", area="medium"),
    "AP large": CocoNumber("precision", area="large"),
    "AR 1": CocoNumber("recall", most=1),
    "AR 10": CocoNumber("recall", most=10),
    "AR 100": CocoNumber("recall"),
    "AR small": CocoNumber("recall", area="small"),
    "AR medium": CocoNumber("recall", area="medium"),
    "AR large": CocoNumber("recall", area="large"),
}


def coco(matches: Matches) -> dict[str, float]:
    """The twelve numbers of COCO in [0, 1], NaN where there is nothing to find (pycocotools writes -1).

    `matches`: of `match_as_coco` as it is by default. Recalls are means over classes, IoUs and, as AP, over classes
    that have something to find. Source: cocodataset.org/#detection-eval.
    """
    once = coco_numbers(matches, np.ones((1, matches.num_pictures)))[0]
    return dict(zip(COCO_NUMBERS, once.tolist(), strict=True))


def coco_per_class(matches: Matches) -> tuple[np.ndarray, np.ndarray]:
    """AP, the mean over the thresholds, and AP at the first of them, each (K,); NaN for a class without truths."""
    table = precisions(matches, np.ones((1, matches.num_pictures)))[0]  # (T, K)
    return table.mean(axis=0), table[0]


def voc_average_precision(matches: Matches, counts: np.ndarray, *, eleven_points: bool = False) -> np.ndarray:
    """(R, K): AP of each class for counts (R, N) of the pictures; matches of `match_as_voc`.

    The area under the precision made monotone, as from 2010 on; `eleven_points`: its mean at recalls 0, .1 ... 1, as
    in 2007. Source: Everingham et al. 2010, section 4.2; the development kit of 2010.
    """
    return precisions(matches, counts, at=VOC_RECALLS if eleven_points else None)[:, 0]


def voc(matches: Matches, counts: np.ndarray, *, eleven_points: bool = False) -> np.ndarray:
    """(R,): the mean of `voc_average_precision` over the classes that have something to find."""
    return mean_of_known(voc_average_precision(matches, counts, eleven_points=eleven_points))


def miss_rates(matches: Matches, counts: np.ndarray) -> np.ndarray:
    """(R, K): the log-average miss rate of each class at the first IoU, for counts (R, N) of the pictures.

    The geometric mean of the share of truths that are missed where there are .01 to 1 false alarms per picture, at
    nine points evenly spaced in the logarithm; 1 where even the highest score is one false alarm too many. To count
    every prediction, `matches` is of `match_as_coco(..., most=None)`. Source: Dollár et al. 2012, section 3.1.
    """
    found = np.full((len(counts), matches.num_classes), np.nan)
    for label, rows, wanted, weights in _by_class(matches, counts, 0):
        became = matches.found[0, 0, rows]
        right = np.cumsum(weights * (became == RIGHT), axis=1)
        alarms = np.cumsum(weights * (became != RIGHT) * (became != IGNORED), axis=1) / counts.sum(axis=1)[:, None]
        reached = np.stack([(alarms <= most).sum(axis=1) for most in FALSE_ALARMS], axis=1)  # (R, 9) predictions
        recall = ratio(np.take_along_axis(np.c_[np.zeros(len(counts)), right], reached, axis=1), wanted[:, None])
        found[:, label] = np.exp(np.log(np.maximum(1 - recall, LEAST_MISS_RATE)).mean(axis=1))
    return found


def miss_rate(matches: Matches, counts: np.ndarray) -> np.ndarray:
    """(R,): the mean of `miss_rates` over the classes that have something to find."""
    return mean_of_known(miss_rates(matches, counts))


def precisions(
    matches: Matches,
    counts: np.ndarray,
    *,
    area: str = "all",
    threshold: float | None = None,
    at: np.ndarray | None = COCO_RECALLS,
) -> np.ndarray:
    """(R, T, K): AP at each IoU, of each class, for counts (R, N) of the pictures; NaN where nothing is to be found.

    `threshold`: one IoU alone (T = 1). `at`: the recalls at which precision is averaged; None: the whole area.
    """
    where = matches.areas.index(area)
    chosen = range(len(matches.thresholds)) if threshold is None else [_index(matches, threshold)]
    found = np.full((len(counts), len(chosen), matches.num_classes), np.nan)
    for label, rows, wanted, weights in _by_class(matches, counts, where):
        for t, at_threshold in enumerate(chosen):
            found[:, t, label] = _average_precision(matches.found[where, at_threshold, rows], weights, wanted, at)
    return found


def recalls(matches: Matches, counts: np.ndarray, *, area: str = "all", most: int = 100) -> np.ndarray:
    """(R, T, K): the share of truths found by the `most` best predictions of each picture and class."""
    where = matches.areas.index(area)
    found = np.full((len(counts), len(matches.thresholds), matches.num_classes), np.nan)
    for label, rows, wanted, weights in _by_class(matches, counts, where):
        is_right = (matches.found[where, :, rows] == RIGHT) & (matches.rank[rows] < most)  # (T, D)
        found[:, :, label] = ratio(weights @ is_right.T.astype(float), wanted[:, None])
    return found


def interval(
    measure: Measure, matches: Matches, *, groups: np.ndarray | None = None, thresholds: int = 10, seed: int = 0
) -> Interval:
    """A measure with its 95 % interval: pictures, or groups (N,) of them, are redrawn; matching is not done again.

    `measure`: an entry of COCO_NUMBERS, `voc`, `miss_rate` or a function like them. The interval is BCa's. Of sets so
    large that 500 rounds would take long there are fewer, at least 100: `thresholds` is how many a round computes.
    """

    def column(matches: Matches, counts: np.ndarray) -> np.ndarray:
        return measure(matches, counts)[:, None]

    return intervals(column, matches, groups=groups, thresholds=thresholds, seed=seed)[0]


def intervals(
    measures: Measure, matches: Matches, *, groups: np.ndarray | None = None, thresholds: int = 10, seed: int = 0
) -> list[Interval]:
    """As `interval`, of several measures of the same rounds: `measures` gives (R, S)."""
    rng = generator(seed, "bootstrap", "pictures")
    count = matches.num_pictures
    cost = max(1, len(matches.index) * thresholds)
    rounds = int(min(ROUNDS_OF_CALLS, max(FEWEST_ROUNDS, WORK // cost)))
    values = measures(matches, np.ones((1, count)))[0]
    draws = _in_parts(measures, matches, resampled_counts(count, groups, rounds, rng))
    left_out = _in_parts(measures, matches, left_out_counts(count, groups, rng))
    units = count if groups is None else len(np.unique(groups))
    over = "pictures" if groups is None else "groups of pictures"
    method = f"bootstrap over {units:,} {over}, {rounds} rounds"
    return [
        accelerated_interval(float(value), drawn, left, units, method)
        for value, drawn, left in zip(values, draws.T, left_out.T, strict=True)
    ]


def coco_numbers(matches: Matches, counts: np.ndarray) -> np.ndarray:
    """(R, 12): all of COCO_NUMBERS for counts (R, N) of the pictures; precision at all IoUs is computed once."""
    whole = precisions(matches, counts)
    known = {"AP": whole, "AP50": whole[:, :1], "AP75": whole[:, 5:6]}
    return np.stack(
        [
            mean_of_known(known[name].reshape(len(counts), -1)) if name in known else number(matches, counts)
            for name, number in COCO_NUMBERS.items()
        ],
        axis=1,
    )


def _in_parts(measure: Measure, matches: Matches, counts: Iterable[np.ndarray]) -> np.ndarray:
    rows = max(1, AT_ONCE // max(1, len(matches.index)))
    parts: list[np.ndarray] = []
    waiting: list[np.ndarray] = []
    for one in counts:
        waiting.append(one)
        if len(waiting) == rows:
            parts.append(measure(matches, np.stack(waiting)))
            waiting = []
    if waiting:
        parts.append(measure(matches, np.stack(waiting)))
    return np.concatenate(parts)


def _by_class(matches: Matches, counts: np.ndarray, area: int) -> Iterator[tuple[int, slice, np.ndarray, np.ndarray]]:
    """Of each class with something to find: its predictions, how much there is (R,), how often each counts (R, D)."""
    edges = np.searchsorted(matches.label, np.arange(matches.num_classes + 1))
    is_wanted = matches.is_wanted[area]
    for label in np.unique(matches.truth_label[is_wanted]).tolist():
        rows = slice(int(edges[label]), int(edges[label + 1]))
        wanted = counts[:, matches.truth_picture[is_wanted & (matches.truth_label == label)]].sum(axis=1)
        yield label, rows, wanted, counts[:, matches.picture[rows]]


def _average_precision(found: np.ndarray, weights: np.ndarray, wanted: np.ndarray, at: np.ndarray | None) -> np.ndarray:
    """(R,): from what became of predictions by falling score (D,), how often each counts (R, D), and truths (R,).

    Precision made monotone is constant from one right prediction to the next, so only those are looked at.
    """
    counts = found != IGNORED
    is_right = found[counts] == RIGHT
    weights = weights[:, counts]
    right = weights[:, is_right].cumsum(axis=1)  # (R, right ones)
    precision = ratio(right, weights.cumsum(axis=1)[:, is_right], nothing=0.0)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = ratio(right, wanted[:, None])
    if at is None:
        area = (np.diff(recall, prepend=0, axis=1) * precision).sum(axis=1)
    else:
        reached = np.searchsorted(at, recall, side="right")  # how many of the recalls
        area = (np.diff(reached, prepend=0, axis=1) * precision).sum(axis=1) / len(at)
    return np.where(wanted > 0, area, np.nan)


def _index(matches: Matches, threshold: float) -> int:
    return int(np.flatnonzero(np.isclose(matches.thresholds, threshold))[0])
