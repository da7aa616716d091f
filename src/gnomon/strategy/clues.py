"""What a look at columns and labels shows: an input that gives the target away, wrong labels, shifted columns.

Each rule was set on the real tables of benchmarks/first_advice.py, with and without the fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Z, newcombe, wilson
from gnomon.strategy.floor import Giveaway, Shift, WrongLabels
from gnomon.strategy.references import Forest, Inputs

BINS = 64  # into which a number is cut to see what it says alone
MOST_COLUMNS = 1_000  # looked at one by one, from the left
TELLS = 0.15  # of the error of a guess: an input alone that leaves less than this may give the target away ...
STANDS_OUT = 2.5  # ... if the best other input alone leaves this many times as much

FEWEST = 5  # rightly named examples of a class from which its usual probability is read; labels that gather
WORTH_TELLING = 0.03  # of the sure answers contradict the label, at least
GATHERS = 0.5  # of all contradicted labels, in one pair of classes
RATE = 3.0  # times the rate of all other pairs, and of the same pair the other way round
AS_SURE = 0.25  # of the errors in that pair, as sure as right answers: classes that are hard to tell apart are not
CHANCE = 1e-3  # that so many gather in one pair by chance

SHIFTED = 0.25  # standard deviations, or this share of the categories, at least
SHIFT_CHANCE = 1e-3  # corrected for the number of columns


def find_giveaway(
    train: Inputs, targets: np.ndarray, dev: Inputs, truth: np.ndarray, num_classes: int | None, names: Sequence[str]
) -> Giveaway | None:
    """The input whose values alone leave hardly an error, where no other comes near. Cut into bins on train."""
    whole = Inputs(np.vstack([train.numbers, dev.numbers]), np.vstack([train.codes, dev.codes]))
    wanted = np.concatenate([targets, truth])
    of_guess = _error_alone(np.zeros(len(wanted), np.int64), wanted, len(targets), num_classes)
    if of_guess <= 0:
        return None
    alone = [
        _error_alone(column, wanted, len(targets), num_classes)
        for column in _binned(whole, len(targets), min(len(names), MOST_COLUMNS))
    ]
    if not alone:
        return None
    order = np.argsort(alone, kind="stable")
    best = int(order[0])
    # An input and the mark that it is missing, or its twin, are one input told twice.
    second = alone[int(order[1])] if len(order) > 1 else of_guess
    if alone[best] > TELLS * of_guess or second < STANDS_OUT * max(alone[best], 1 / len(wanted)):
        return None
    return Giveaway(names[best], alone[best], min(second, of_guess), of_guess)


def _binned(whole: Inputs, num_train: int, most: int) -> list[np.ndarray]:
    """(N,) small whole numbers for each column."""
    found = []
    for column in whole.numbers.T[:most]:
        edges = np.unique(column[:num_train])
        if len(edges) > BINS:
            edges = np.unique(np.quantile(column[:num_train], np.linspace(0, 1, BINS + 1)[1:-1]))
        found.append(np.searchsorted(edges, column))
    return found + [np.asarray(column) for column in whole.codes.T[: most - len(found)]]


def _error_alone(column: np.ndarray, wanted: np.ndarray, num_train: int, num_classes: int | None) -> float:
    """The error of the best answer for each value of the column, found on train and counted on train and dev."""
    known, answers = column[:num_train], wanted[:num_train]
    size = int(column.max()) + 1
    if num_classes is None:
        best = np.full(size, np.median(answers))
        order = np.argsort(known, kind="stable")
        values, starts = np.unique(known[order], return_index=True)
        for value, part in zip(values, np.split(answers[order], starts[1:]), strict=True):
            best[value] = np.median(part)
        return float(np.abs(best[column] - wanted).mean())
    counts = np.zeros((size, num_classes))
    np.add.at(counts, (known, answers), 1)
    said = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), np.bincount(answers).argmax())
    return float((said[column] != wanted).mean())


def find_wrong_labels(
    forest: Forest, targets: np.ndarray, truth: np.ndarray, class_names: Sequence[str]
) -> WrongLabels | None:
    """Labels that a forest contradicts as surely as it is right elsewhere.

    An answer is sure if its class has at least the probability that it usually (median) has where it is right. Half of
    the right answers are sure, and so are half of those whose label is wrong; a hard example lies between classes, and
    is answered surely only by chance. So the share of sure answers that contradict the label estimates the share of
    wrong labels. The idea of confident learning (Northcutt, Jiang and Chuang 2021), with the median in place of the
    mean. Labels that the inputs do not determine look the same.
    """
    said = np.vstack([forest.out_of_bag, forest.dev])
    given = np.concatenate([targets[forest.rows], truth])
    seen = said.sum(axis=1) > 0
    said, given = said[seen], given[seen]
    named = said.argmax(axis=1)
    sureness, num_classes = said[np.arange(len(named)), named], len(class_names)
    usual = np.full(num_classes, np.inf)
    for label in range(num_classes):
        right = sureness[(named == label) & (given == label)]
        if len(right) >= FEWEST:
            usual[label] = np.median(right)
    is_sure, is_wrong = sureness >= usual[named], named != given
    if not is_sure.any():
        return None
    count = int((is_sure & is_wrong).sum())
    share = wilson(count, int(is_sure.sum()))
    pair = _pair(named, given, is_sure, num_classes)
    if share.low < WORTH_TELLING and pair is None:
        return None
    names = (class_names[pair[0]], class_names[pair[1]]) if pair else ("", "")
    return WrongLabels(share.value, share.low, share.high, count, int(is_sure.sum()), *names, pair[2] if pair else 0.0)


def _pair(named: np.ndarray, given: np.ndarray, is_sure: np.ndarray, num_classes: int) -> tuple[int, int, float] | None:
    """Where contradicted labels gather: (given, likely, share of the class `likely`); None if they do not."""
    from scipy.stats import binom

    every, sure = (np.zeros((num_classes, num_classes)) for _ in range(2))
    np.add.at(every, (named, given), 1)  # [likely, given]
    np.add.at(sure, (named[is_sure], given[is_sure]), 1)
    wrong = sure * (1 - np.eye(num_classes))
    likely, label = map(int, np.unravel_index(wrong.argmax(), wrong.shape))
    count, total = float(wrong.max()), float(wrong.sum())
    sizes = sure.sum(axis=1)  # of sure answers
    if count < FEWEST:
        return None
    room = sizes.sum() - sizes[likely] / (num_classes - 1)  # for all other pairs, in examples that could be in one
    rate, others = count / (sizes[likely] / (num_classes - 1)), (total - count) / max(room, 1.0)
    back = wrong[label, likely] / max(sizes[label], 1.0)
    chance = sizes[likely] / (num_classes - 1) / sizes.sum()
    by_chance = float(binom.sf(count - 1, total, chance)) * num_classes * (num_classes - 1)
    gathers = count >= GATHERS * total and by_chance < CHANCE and rate >= RATE * others
    if not gathers or count < RATE * sizes[likely] * back or count < AS_SURE * every[likely, label]:
        return None
    return label, likely, count / float(sizes[likely])


def shifted(train: Inputs, dev: Inputs) -> dict[int, float]:
    """By place among the D + C columns: by how many standard deviations, or what share of a category's examples."""
    from scipy.stats import chi2_contingency, ks_2samp

    tests = min(train.numbers.shape[1] + train.codes.shape[1], MOST_COLUMNS)
    found = {}
    for place in range(min(train.numbers.shape[1], tests)):
        ours, theirs = train.numbers[:, place].astype(float), dev.numbers[:, place].astype(float)
        spread = ours.std()
        if spread <= 0:
            continue
        size = float((theirs.mean() - ours.mean()) / spread)
        if abs(size) >= SHIFTED and ks_2samp(ours, theirs, method="asymp").pvalue * tests < SHIFT_CHANCE:
            found[place] = size
    for column in range(train.codes.shape[1]):
        most = int(max(train.codes[:, column].max(initial=0), dev.codes[:, column].max(initial=0))) + 1
        counts = np.stack([np.bincount(side.codes[:, column], minlength=most) for side in (train, dev)]).astype(float)
        counts = counts[:, counts.sum(axis=0) > 0]
        apart = float(np.abs(np.diff(counts / counts.sum(axis=1, keepdims=True), axis=0)).sum() / 2)
        if apart >= SHIFTED and counts.shape[1] > 1 and chi2_contingency(counts).pvalue * tests < SHIFT_CHANCE:
            found[train.numbers.shape[1] + column] = apart
    return found


def cost_by_forest(dev: np.ndarray, held_out: np.ndarray, *, is_share: bool) -> Interval:
    """How much more a forest errs on dev than on training rows that it did not see; both (n,) errors."""
    if is_share:
        return newcombe(float(dev.sum()), len(dev), float(held_out.sum()), len(held_out))
    value = float(dev.mean() - held_out.mean())
    reach = Z * math.sqrt(float(dev.var()) / len(dev) + float(held_out.var()) / len(held_out))
    return Interval(value, value - reach, value + reach, "normal")


def shift_of(
    sizes: Mapping[int, float], names: Sequence[str], basis: Literal["moved back", "forest"], without: float,
    dev: float, cost: Interval, *, is_share: bool,
) -> Shift:  # fmt: skip
    """The record; it hurts if the cost is surely above a tenth of the error on dev."""
    order = sorted(sizes, key=lambda place: -abs(sizes[place]))
    floor = max(0.1 * dev, 0.001 if is_share else 0.0)
    hurts = cost.low > 0 and cost.value > floor
    columns, moved = tuple(names[place] for place in order), tuple(sizes[place] for place in order)
    return Shift(columns, moved, basis, without, dev, cost.value, cost.low, cost.high, hurts)
