"""Which labels are likely wrong (confident learning), and what a reviewed sample says about all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gnomon.core.errors import DataError
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import wilson

VERDICTS = ("given", "suggested", "neither", "both")  # which label a reviewer says is right
WRONG = ("suggested", "neither")  # verdicts that mean the given label is wrong
OFF = 0.05  # how far the probabilities of an example may be from summing to 1, because they were rounded
PARTS = ("suspect", "error", "right")  # of a review: top suspects; other errors of the model; right answers


@dataclass(frozen=True)
class Suspects:
    """All N examples, compared with the probabilities of a model that has not seen their labels; K classes."""

    class_names: tuple[str, ...]
    probabilities: np.ndarray  # (N, K), out of sample
    given: np.ndarray  # (N,) int64
    counted: np.ndarray  # (N,) int64: the class an example confidently belongs to, by confident learning; -1 for none
    joint: np.ndarray  # (K, K) share of examples with given label i and true label j, estimated; sums to 1

    @cached_property
    def is_suspect(self) -> np.ndarray:
        """(N,) bool: confidently of another class than the label."""
        found: np.ndarray = (self.counted >= 0) & (self.counted != self.given)
        return found

    @cached_property
    def suggested(self) -> np.ndarray:
        """(N,) int64: the most probable class other than the label."""
        others = self.probabilities.copy()
        others[np.arange(len(others)), self.given] = -1.0
        best: np.ndarray = others.argmax(axis=1)
        return best

    @cached_property
    def margin(self) -> np.ndarray:
        """(N,) in [-1, 1]: probability of the given label minus that of the suggested one; -1 is most suspect."""
        rows = np.arange(len(self.given))
        found: np.ndarray = self.probabilities[rows, self.given] - self.probabilities[rows, self.suggested]
        return found

    @cached_property
    def order(self) -> np.ndarray:
        """(N,) positions: suspects by margin, then everything else by margin."""
        found: np.ndarray = np.lexsort((self.margin, ~self.is_suspect))
        return found

    @property
    def estimated_share(self) -> float:
        """Share of wrong labels according to the model alone, which cannot tell a wrong label from a hard example."""
        return float(1 - np.trace(self.joint))

    @property
    def wrong_share_at_most(self) -> float:
        """Upper end of Wilson's interval of `estimated_share`: where the truth was known, it was rarely above this.

        A weak model that is sure of itself takes hard examples for wrong labels, so the estimate can be many times the
        truth, and only serves as a bound (docs/labels.md). Labels wrong by a rule the model learned stay hidden.
        """
        total = len(self.given)
        return wilson(min(max(self.estimated_share, 0.0), 1.0) * total, total).high


def find_suspects(probabilities: np.ndarray, given: np.ndarray, class_names: Sequence[str]) -> Suspects:
    """Confident learning: an example belongs to class j if p_j is at least the average p_j of examples labelled j.

    probabilities: (N, K), each row from a model that was not trained on that example, summing to 1 up to rounding;
    given: (N,) in 0..K-1. Raises DataError for invalid probabilities.
    Source: Northcutt, Jiang and Chuang 2021, JAIR 70:1373, equations 1 to 3 (thresholds, confident joint, calibration).
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    num_classes = len(class_names)
    if probabilities.shape != (len(given), num_classes) or len(given) == 0:
        raise DataError(
            f"expected a probability for each of {len(given):,} examples and {num_classes} classes.",
            fix="give predictions with a column p.CLASS for every class.",
        )
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and (probabilities <= 1 + 1e-4).all()):
        raise DataError("some probabilities are not numbers from 0 to 1.", fix="correct the p.CLASS columns.")
    total = probabilities.sum(axis=1)
    off = np.abs(total - 1) > OFF
    if off.any():
        row = int(off.argmax())
        raise DataError(
            f"the probabilities of row {row + 1} sum to {total[row]:g}, not 1.", fix="give one for every class."
        )
    probabilities = probabilities / total[:, None]
    counts = np.bincount(given, minlength=num_classes)
    own = np.zeros((num_classes, num_classes))
    np.add.at(own, given, probabilities)
    with np.errstate(invalid="ignore", divide="ignore"):
        thresholds = np.where(counts > 0, np.diag(own) / counts, np.inf)
    is_candidate = probabilities >= thresholds - 1e-6
    best = np.where(is_candidate, probabilities, -1.0).argmax(axis=1)
    counted = np.where(is_candidate.any(axis=1), best, -1)
    confident = np.zeros((num_classes, num_classes))
    np.add.at(confident, (given[counted >= 0], counted[counted >= 0]), 1)
    return Suspects(tuple(class_names), probabilities, np.asarray(given), counted, _calibrated(confident, counts))


def _calibrated(confident: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rows scaled to the actual class sizes, then everything to sum to 1."""
    confident = confident.copy()
    empty = (confident.sum(axis=1) == 0) & (counts > 0)
    confident[empty, empty] = 1.0  # no example is confidently of this class: no reason to doubt its labels
    sums = np.maximum(confident.sum(axis=1, keepdims=True), 1e-300)
    scaled = confident / sums * counts[:, None]
    found: np.ndarray = scaled / scaled.sum()
    return found


@dataclass(frozen=True)
class Drawn:
    """Which examples to review, and how many examples each of them represents."""

    positions: np.ndarray  # (n,) in random order, so that stopping halfway leaves a fair sample of each part
    parts: tuple[str, ...]  # the part of each
    stands_for: np.ndarray  # (n,) examples it represents: size of its part / examples drawn from it


def draw_review(suspects: Suspects, *, top: int, random: int, rng: np.random.Generator) -> Drawn:
    """The `top` most suspect, and `random` of the rest: half where the model errs, half where it does not."""
    top = min(top, len(suspects.given))
    first, rest = suspects.order[:top], suspects.order[top:]
    errs = suspects.probabilities.argmax(axis=1) != suspects.given
    others = {"error": rest[errs[rest]], "right": rest[~errs[rest]]}
    wanted = {"error": min(random // 2, len(others["error"]))}
    wanted["right"] = min(random - wanted["error"], len(others["right"]))
    positions, parts, stands_for = [first], ["suspect"] * top, [np.ones(top)]
    for part, pool in others.items():
        drawn = rng.choice(pool, wanted[part], replace=False) if wanted[part] else pool[:0]
        positions.append(drawn)
        parts += [part] * len(drawn)
        stands_for.append(np.full(len(drawn), len(pool) / max(len(drawn), 1)))
    shuffled = rng.permutation(len(parts))
    return Drawn(
        np.concatenate(positions)[shuffled],
        tuple(parts[place] for place in shuffled),
        np.concatenate(stands_for)[shuffled],
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a split, some examples of which were drawn at random and reviewed."""

    name: str
    size: int  # examples in the part
    reviewed: int
    found: int  # reviewed examples with what was looked for: a wrong label, for example


def estimate_total(parts: Sequence[Part], missing: int = 0) -> Interval:
    """The total number of examples with what was found, over all parts: each reviewed row counts size / reviewed.

    `missing`: examples in parts from which nobody drew; any number of them may count.
    Each part has Wilson's interval with finite-population correction; the sum combines them (Zou and Donner).
    Source: Horvitz and Thompson 1952; Cochran 1977, chapters 2 and 5; Zou and Donner 2008.
    """
    value, below, above = 0.0, 0.0, 0.0
    for part in parts:
        if part.reviewed == 0:
            missing += part.size
            continue
        one = _part_share(part)
        value += part.size * one.value
        below += (part.size * (one.value - one.low)) ** 2
        above += (part.size * (one.high - one.value)) ** 2
    reviewed = sum(part.reviewed for part in parts)
    found = sum(part.found for part in parts)
    low, high = max(value - math.sqrt(below), found), value + math.sqrt(above) + missing
    return Interval(value, min(low, value), high, f"weighted, {reviewed:,} reviewed")


def _part_share(part: Part) -> Interval:
    share = part.found / part.reviewed
    if part.reviewed >= part.size:
        return Interval(share, share, share)
    corrected = part.reviewed * (part.size - 1) / (part.size - part.reviewed)
    ends = wilson(share * corrected, corrected)
    return Interval(share, min(ends.low, share), max(ends.high, share))


@dataclass(frozen=True, slots=True)
class Concentration:
    """Wrong labels that cluster in one place, compared with chance."""

    kind: str  # "class pair", "class", "tag", "time"
    where: str  # "4 labelled 9", "camera = phone"
    count: int  # wrong labels here
    expected: float  # if the same number were spread at random
    p_value: float  # exact, one-sided, corrected for everything tested (Holm)


def find_concentrations(
    given: np.ndarray,
    true: np.ndarray,
    wrong: np.ndarray,
    class_names: Sequence[str],
    tags: Mapping[str, np.ndarray] | None = None,
) -> tuple[Concentration, ...]:
    """Where wrong labels cluster, most significant first; everything that was tested.

    given, true: (N,) classes (true where known, -1 for unknown; the given label counts where `wrong` is False);
    wrong: (N,) bool; tags: {name: (N,) values, None for none}. Random means that every example is equally likely to be
    mislabelled, as any of the other classes.
    Pairs: binomial tail; classes and tags: hypergeometric tail (Fisher's exact test).
    """
    from scipy.stats import binom, hypergeom

    total, num_wrong, num_classes = len(given), int(wrong.sum()), len(class_names)
    if num_wrong == 0:
        return ()
    found: list[tuple[str, str, int, float, float]] = []
    held = np.where(wrong, true, given)
    known = wrong & (true >= 0)
    sizes = np.bincount(held[held >= 0], minlength=num_classes)
    pairs = np.zeros((num_classes, num_classes), dtype=np.int64)  # [true, given]
    np.add.at(pairs, (true[known], given[known]), 1)
    for i, j in zip(*np.nonzero(pairs), strict=True):
        chance = sizes[i] / sizes.sum() / (num_classes - 1)
        count, num_known = int(pairs[i, j]), int(known.sum())
        p = float(binom.sf(count - 1, num_known, chance))
        found.append(("class pair", f"{class_names[i]} labelled {class_names[j]}", count, num_known * chance, p))
    named = np.array([*class_names, None], dtype=object)  # index -1 is None
    spread = {"class": ("true class", named[held])}
    spread |= {f"tag {name}": (name, values) for name, values in (tags or {}).items()}
    tests = int((num_classes - 1) * num_classes)
    for kind, (name, values) in spread.items():
        for value in dict.fromkeys(value for value in values.tolist() if value is not None):
            here = values == value
            size, count = int(here.sum()), int((here & wrong).sum())
            tests += 1
            if count:
                p = float(hypergeom.sf(count - 1, total, size, num_wrong))
                found.append((kind.split()[0], f"{name} = {value}", count, num_wrong * size / total, p))
    found.sort(key=lambda one: one[4])
    highest, corrected = 0.0, []
    for rank, one in enumerate(found):
        highest = max(highest, min(1.0, (tests - rank) * one[4]))
        corrected.append(Concentration(*one[:4], highest))
    return tuple(corrected)


@dataclass(frozen=True, slots=True)
class CleanVerdict:
    """Whether correcting the labels of a split is worth it."""

    fix: bool | None  # None: the sample is too small to say
    due_to_labels: Interval  # error of the split that is due to wrong labels
    other: float  # error due to anything else
    text: str


CLEAN_SHARE = 0.15  # of the error: the notes leave 0.6 of 10 (6 %) and fix 0.6 of 2 (30 %)


def decide_cleaning(error: float, due_to_labels: Interval, *, difference: float | None = None) -> CleanVerdict:
    """Clean if wrong labels are a large share of the error, or as much as the difference between the models compared.

    error: of the split, a share; due_to_labels: the part of it where the label is wrong; difference: between the
    models that are being compared on this split, if any.
    Source: Ng 2018, Machine Learning Yearning, chapter 16: 0.6 of 10 points is little, 0.6 of 2 is a lot.
    """
    limit = CLEAN_SHARE * error
    if difference is not None:
        limit = min(limit, abs(difference))
    limit = max(limit, 1e-12)
    value, other = due_to_labels.value, max(error - due_to_labels.value, 0.0)
    parts = (
        f"{_points(value)} of the {_points(error)} points of error are due to wrong labels, "
        f"{_points(other)} to other causes"
    )
    if due_to_labels.low >= limit:
        why = "as much as the models compared differ by" if limit < CLEAN_SHARE * error else "a large share"
        return CleanVerdict(True, due_to_labels, other, f"Cleaning is worth it: {parts} ({why}).")
    if due_to_labels.high < limit:
        return CleanVerdict(False, due_to_labels, other, f"Leave the labels: {parts}. Other causes come first.")
    lean = "looks worth it" if value >= limit else "does not look worth it"
    text = (
        f"Cleaning {lean}, but the sample is too small to say: {parts} "
        f"[{_points(due_to_labels.low)}, {_points(due_to_labels.high)}]. Review more."
    )
    return CleanVerdict(None, due_to_labels, other, text)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
