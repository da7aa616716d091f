"""Every kind of interval that gnomon prints, drawn again and again from a source whose truth is known.

A case draws data, asks gnomon for the interval as its commands do, and says what the truth was; `coverage` counts how
often the interval holds it. Truths are closed forms or arithmetic on the probabilities that the data is drawn with;
where none is known, the same number measured on two million examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics import binary, classification, costs, intervals, ranking, regression
from gnomon.metrics.interval import Interval
from gnomon.strategy import bayes, curve, error_analysis, improve, labels, mismatch, people, pipeline
from gnomon.strategy.appearance import Appearance

Draw = Callable[[np.random.Generator], tuple[Interval, float]]
MANY = 2_000_000  # examples that stand for all there are


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    interval: str  # which one
    corner: str  # sizes and shares it is drawn at
    draw: Draw
    repeats: int = 2000

    @property
    def name(self) -> str:
        return f"{self.interval}, {self.corner}"

    @property
    def band(self) -> tuple[float, float]:
        """In which the coverage lies."""
        return CORNERS[self.name][:2] if self.name in CORNERS else (0.94, 0.96)

    @property
    def why(self) -> str:
        """Why it is another one than 94 to 96 %."""
        return CORNERS[self.name][2] if self.name in CORNERS else ""


def coverage(case: Case, repeats: int) -> tuple[int, int, str]:
    """How many of so many intervals hold the truth, how many there were, and the method that the last one names."""
    rng = np.random.default_rng(17)
    held, method = 0, ""
    for _ in range(repeats):
        found, truth = case.draw(rng)
        held += found.low <= truth <= found.high
        method = found.method or method
    return held, repeats, method


def judged(errors, *, unit=SHARE, weights=None, groups=None, split_error=None, split="dev", **columns) -> Evaluation:
    errors = np.asarray(errors, dtype=float)
    table = pl.DataFrame(
        {
            "id": np.arange(len(errors), dtype=np.uint32),
            "error": errors,
            "weight": np.ones(len(errors)) if weights is None else weights,
            **columns,
        }
    )
    if groups is not None:
        table = table.with_columns(pl.Series("group", groups).cast(pl.String))
    return Evaluation(split, unit, table, split_error)


def seed_of(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


FEW_APART = "few examples that one of the two alone gets wrong: whole numbers"
FEW_POSITIVES = "few positives"
CORNERS = {  # where intervals cover more, or less, than 94 to 96 %: (from, to, why)
    "weighted error, weights 1 and 10, 40 examples, 10 %": (0.94, 0.98, "kept from looking too sure of few errors"),
    "error with a costly class, 100 examples": (0.90, 0.96, "ten costly examples carry half of the weight"),
    "error over groups, 10 groups of 10": (0.91, 0.96, "ten groups that are unlike one another"),
    "absolute error, 8 examples": (0.91, 0.96, "eight values of a skewed kind"),
    "a split's own metric (root mean square), 20 examples": (0.90, 0.96, "twenty squares hardly show their spread"),
    "a split's own metric (1 - F1), 200 examples, 5 % positive": (0.94, 0.98, FEW_POSITIVES),
    "paired difference of shares, 20 examples": (0.94, 0.99, FEW_APART),
    "paired difference of shares, 200 examples, 1.5 % and 0.5 %": (0.94, 0.99, FEW_APART),
    "gain of a change, 3 seeds, 400 examples": (0.88, 0.96, "three seeds hardly show how much seeds differ"),
    "calibration error, 200 examples, calibrated": (0.94, 0.98, "nothing lies below 0: 97.5 % of one end"),
    "calibration error, 2,000 examples, 5 points too sure": (0.94, 0.98, "bins of their own noise add to the error"),
    "F1 of a class, 60 examples, 30 % positive": (0.94, 0.98, FEW_POSITIVES),
    "F1 of a class, 200 examples, 5 % positive": (0.94, 0.98, FEW_POSITIVES),
    "R2, 20 examples": (0.90, 0.96, "the spread of twenty targets is not known either"),
    "gain of a perfect stage, 40 examples": (0.90, 0.96, "four examples that the stage spoils"),
    "worst of a tag's values, 20, 50 and 200 examples": (0.94, 0.99, "holds for whichever is the worst"),
    "error over folds, 100 examples, 5 folds": (0.95, 1.0, "folds share examples: an upper bound of their variance"),
    "error over folds, 300 examples, 10 folds": (0.95, 1.0, "folds share examples: an upper bound of their variance"),
    "human error, 100 examples, 3 %": (0.94, 0.98, "whole numbers: three errors"),
    "two-sample AUC, no difference, 60 and 60": (0.94, 0.99, "folds share examples: twice their variance at most"),
    "two-sample AUC, no difference, 300 and 150": (0.94, 0.99, "folds share examples: twice their variance at most"),
}


# --- errors of splits, and gaps ---------------------------------------------------------------------------------------
def plain_share(size: int, least: float, most: float) -> Draw:
    def draw(rng):
        rate = rng.uniform(least, most)
        return intervals.split_error(judged(rng.random(size) < rate), seed=seed_of(rng)), rate

    return draw


def gap_of_shares(size: int, other: int, least: float, most: float, largest: float) -> Draw:
    """Both rates uniform, the second at most `largest` above the first."""

    def draw(rng):
        low = rng.uniform(least, most)
        high = low + rng.uniform(0, largest)
        first, second = (intervals.wilson(rng.binomial(n, rate), n) for n, rate in ((other, high), (size, low)))
        return intervals.difference(first, second), high - low

    return draw


def share_over_folds(size: int, folds: int, width: int) -> Draw:
    """Two normal clouds, by the nearest mean of those that a fold does not judge; the mean error of the folds' models.

    What such a model errs is a closed form: the share of either cloud beyond a plane.
    """

    def draw(rng):
        side = np.arange(size) % 2
        inputs = rng.normal(size=(size, width))
        inputs[:, 0] += np.where(side, 0.8, -0.8)
        fold = rng.permutation(size) % folds
        wrong, errors = np.zeros(size), []
        for number in range(folds):
            known, asked = fold != number, fold == number
            low, high = (inputs[known & (side == which)].mean(axis=0) for which in (0, 1))
            across, offset = high - low, float((high**2 - low**2).sum() / 2)
            wrong[asked] = (inputs[asked] @ across > offset) != side[asked]
            length = np.linalg.norm(across)
            errors += [ndtr((-0.8 * across[0] - offset) / length), ndtr((offset - 0.8 * across[0]) / length)]
        evaluation = replace(judged(wrong), inflation=intervals.inflation_of(folds))
        return intervals.split_error(evaluation, seed=seed_of(rng)), float(np.mean(errors))

    return draw


def partial_shares(size: int) -> Draw:
    def draw(rng):
        errors = np.where(rng.random(size) < 0.3, rng.beta(2, 2, size), 0)
        return intervals.split_error(judged(errors), seed=seed_of(rng)), 0.15

    return draw


def weighted_share(size: int, rate: float) -> Draw:
    """Half of the examples weigh ten times as much as the other half."""

    def draw(rng):
        weights = rng.choice([1.0, 10.0], size)
        return intervals.split_error(judged(rng.random(size) < rate, weights=weights), seed=seed_of(rng)), rate

    return draw


def costly_class(size: int) -> Draw:
    """A tenth of the examples is of a class whose errors cost ten times as much: 3 of 10 wrong, 1 of 20 of others."""

    def draw(rng):
        costly = rng.random(size) < 0.1
        found = judged(rng.random(size) < np.where(costly, 0.3, 0.05), target=np.where(costly, "porn", "cat"))
        if not costly.any():
            return draw(rng)
        return intervals.split_error(costs.with_costs(found, {"porn": 10}), seed=seed_of(rng)), (0.3 + 0.045) / 1.9

    return draw


def grouped_share(num_groups: int, size: int = 10) -> Draw:
    def draw(rng):
        groups = np.repeat(np.arange(num_groups), size)
        errors = rng.random(len(groups)) < rng.beta(0.5, 4.5, num_groups)[groups]
        return intervals.split_error(judged(errors, groups=groups), seed=seed_of(rng)), 0.1

    return draw


def absolute_errors(size: int) -> Draw:
    def draw(rng):
        return intervals.split_error(judged(rng.exponential(size=size), unit="m"), seed=seed_of(rng)), 1.0

    return draw


def rare_errors(size: int) -> Draw:
    """Nine of ten errors are 0, the others have no limit."""

    def draw(rng):
        errors = np.where(rng.random(size) < 0.1, rng.exponential(size=size), 0)
        return intervals.split_error(judged(errors, unit="m"), seed=seed_of(rng)), 0.1

    return draw


def grouped_errors(num_groups: int, size: int = 10) -> Draw:
    def draw(rng):
        groups = np.repeat(np.arange(num_groups), size)
        errors = abs(rng.normal(size=num_groups)[groups] + rng.normal(size=len(groups)))
        return intervals.split_error(judged(errors, unit="m", groups=groups), seed=seed_of(rng)), 2 / math.sqrt(math.pi)

    return draw


def gap_of_errors(size: int, other: int) -> Draw:
    def draw(rng):
        first, second = (
            intervals.split_error(judged(scale * rng.exponential(size=n), unit="m"), seed=seed_of(rng))
            for scale, n in ((1.5, other), (1.0, size))
        )
        return intervals.difference(first, second), 0.5

    return draw


def whole_metric(size: int) -> Draw:
    """Root of the mean square of half-normal errors."""

    def draw(rng):
        errors = abs(rng.normal(size=size))
        whole = judged(
            errors, unit="m", split_error=lambda counts: math.sqrt((counts * errors**2).sum() / counts.sum())
        )
        return intervals.split_error(whole, seed=seed_of(rng)), 1.0

    return draw


def whole_f1(size: int, share: float) -> Draw:
    """1 - F1 of a class with this share, recall 0.8, and one false alarm in twenty others."""
    hits, misses, alarms = 0.8 * share, 0.2 * share, 0.05 * (1 - share)
    truth = 1 - 2 * hits / (2 * hits + misses + alarms)

    def draw(rng):
        true = rng.random(size) < share
        said = rng.random(size) < np.where(true, 0.8, 0.05)
        if not (true | said).any():
            return draw(rng)

        def loss(counts):
            both, either = (counts * (true & said)).sum(), (counts * true).sum() + (counts * said).sum()
            return 1 - 2 * both / either if either else math.nan

        return intervals.split_error(judged(true != said, split_error=loss), seed=seed_of(rng)), truth

    return draw


# --- two systems on the same examples ---------------------------------------------------------------------------------
def paired_shares(size: int, only_first: float, only_second: float, both: float) -> Draw:
    cells = [only_first, only_second, both, 1 - only_first - only_second - both]

    def draw(rng):
        cell = rng.choice(4, size=size, p=cells)
        first, second = judged(np.isin(cell, (0, 2))), judged(np.isin(cell, (1, 2)))
        return intervals.paired_difference(first, second, seed=seed_of(rng)), only_first - only_second

    return draw


def paired_errors(size: int) -> Draw:
    def draw(rng):
        common = rng.exponential(size=size)
        first, second = (judged(common + extra * rng.exponential(size=size), unit="m") for extra in (1.0, 0.7))
        return intervals.paired_difference(first, second, seed=seed_of(rng)), 0.3

    return draw


def paired_weighted(size: int) -> Draw:
    def draw(rng):
        cell, weights = rng.choice(4, size=size, p=[0.1, 0.05, 0.1, 0.75]), rng.choice([1.0, 10.0], size)
        first, second = (judged(np.isin(cell, own), weights=weights) for own in ((0, 2), (1, 2)))
        return intervals.paired_difference(first, second, seed=seed_of(rng)), 0.05

    return draw


def paired_grouped(num_groups: int, size: int = 10) -> Draw:
    def draw(rng):
        groups = np.repeat(np.arange(num_groups), size)
        hard = rng.beta(1, 4, num_groups)[groups]
        first, second = (judged(rng.random(len(groups)) < part * hard, groups=groups) for part in (1.0, 0.7))
        return intervals.paired_difference(first, second, seed=seed_of(rng)), 0.3 * 0.2

    return draw


def paired_f1(size: int) -> Draw:
    """The same positives (3 in 10), recall 0.8 and 0.7, one false alarm in ten others."""

    def f1(recall):
        return 2 * 0.3 * recall / (0.3 * recall + 0.3 + 0.07)

    def draw(rng):
        true = rng.random(size) < 0.3
        both = []
        for recall in (0.7, 0.8):
            said = rng.random(size) < np.where(true, recall, 0.1)

            def loss(counts, said=said):
                return 1 - 2 * (counts * (true & said)).sum() / ((counts * true).sum() + (counts * said).sum())

            both.append(judged(true != said, split_error=loss))
        return intervals.paired_difference(*both, seed=seed_of(rng)), f1(0.8) - f1(0.7)

    return draw


def gain_over_seeds(num_seeds: int, size: int = 400, scatter: float = 0.1) -> Draw:
    """A change tried with some seeds: examples are hard alike for both, each seed makes a system of its own.

    With one seed the interval is about the two systems, with several about the change.
    """
    width = math.sqrt(2 + scatter**2)

    def draw(rng):
        hard, truth, both = rng.normal(size=size), 0.0, []
        for rate, sign in ((0.2, 1), (0.15, -1)):
            shifts = scatter * rng.normal(size=num_seeds)
            both.append([judged(hard + rng.normal(size=size) + shift < ndtri(rate) * width) for shift in shifts])
            truth += (
                sign * float(ndtr((ndtri(rate) * width - shifts[0]) / math.sqrt(2))) if num_seeds == 1 else sign * rate
            )
        found = improve.compare(*both).test.difference
        return Interval(found.value, found.low, found.high, f"paired, {num_seeds} seeds"), truth

    return draw


# --- scores of a classifier -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Classes:
    """Classes of some frequencies, answered by a confusion matrix of rows P(answer | class)."""

    shares: tuple[float, ...]
    right: float  # chance of the right answer; the others share the rest

    @property
    def joint(self) -> np.ndarray:
        count = len(self.shares)
        rows = np.full((count, count), (1 - self.right) / (count - 1))
        np.fill_diagonal(rows, self.right)
        return np.array(self.shares)[:, None] * rows

    def truth(self, score: str) -> float:
        joint = self.joint
        recall, precision = np.diag(joint) / joint.sum(axis=1), np.diag(joint) / joint.sum(axis=0)
        return {
            "accuracy": np.trace(joint),
            "balanced accuracy": recall.mean(),
            "macro precision": precision.mean(),
            "macro recall": recall.mean(),
            "macro F1": (2 * np.diag(joint) / (joint.sum(axis=1) + joint.sum(axis=0))).mean(),
        }[score]


def score_of_classes(score: str, classes: Classes, size: int) -> Draw:
    joint, count = classes.joint, len(classes.shares)

    def draw(rng):
        cell = rng.choice(count**2, size=size, p=joint.ravel())
        target, prediction = cell // count, cell % count
        found = classification.scores(
            judged(target != prediction, target=target, prediction=prediction), seed=seed_of(rng)
        )
        return found[score], classes.truth(score)

    return draw


def log_loss(size: int) -> Draw:
    """Probabilities of two classes, uniform and calibrated: the expected loss is that of the entropy, 1/2."""

    def draw(rng):
        p = rng.uniform(0, 1, size)
        target = np.where(rng.random(size) < p, "b", "a")
        columns = {"target": target, "prediction": np.where(p > 0.5, "b", "a"), "p.a": 1 - p, "p.b": p}
        found = classification.scores(judged(target != columns["prediction"], **columns), seed=seed_of(rng))
        return found["log loss"], 0.5

    return draw


def calibration_error(size: int, over: float) -> Draw:
    """Confidence uniform in [0.5, 1], right `over` less often than it says: that is the error, in every bin."""

    def draw(rng):
        confidence = rng.uniform(0.5, 1, size)
        table = judged(rng.random(size) >= confidence - over, confidence=confidence)
        return classification.calibration(table, seed=seed_of(rng)).error, over

    return draw


def area_under_roc(positives: int, negatives: int, apart: float) -> Draw:
    """Normal scores, positives `apart` standard deviations higher."""

    def draw(rng):
        positive = np.arange(positives + negatives) < positives
        return ranking.auc(rng.normal(size=len(positive)) + apart * positive, positive), float(
            ndtr(apart / math.sqrt(2))
        )

    return draw


def macro_area(shares: tuple[float, ...], size: int) -> Draw:
    """Normal scores, that of the right class 1.5 standard deviations higher."""

    def draw(rng):
        target = rng.choice(len(shares), size=size, p=shares)
        scores = rng.normal(size=(size, len(shares)))
        scores[np.arange(size), target] += 1.5
        found = ranking.macro_auc(scores, target)
        return (found, float(ndtr(1.5 / math.sqrt(2)))) if found is not None else draw(rng)

    return draw


def score_of_one(score: str, size: int, share: float, beta: float = 1.0) -> Draw:
    """Recall 0.8, one false alarm in twenty others."""
    hits, misses, alarms = 0.8 * share, 0.2 * share, 0.05 * (1 - share)
    f = (1 + beta**2) * hits / ((1 + beta**2) * hits + beta**2 * misses + alarms)
    truth = {"precision": hits / (hits + alarms), "recall": 0.8, "specificity": 0.95, f"F{beta:g}": f}[score]

    def draw(rng):
        true = rng.random(size) < share
        said = rng.random(size) < np.where(true, 0.8, 0.05)
        table = judged(true != said, target=np.where(true, "yes", "no"), prediction=np.where(said, "yes", "no"))
        found = binary.scores_of_class(table, "yes", beta=beta, seed=seed_of(rng))
        return (found[score], truth) if score in found else draw(rng)

    return draw


# --- scores of a regression -------------------------------------------------------------------------------------------
def score_of_numbers(score: str, size: int) -> Draw:
    """Normal targets and normal residuals half as wide."""
    truth = {"mean absolute error": 0.5 * math.sqrt(2 / math.pi), "root mean squared error": 0.5, "R2": 0.75}[score]

    def draw(rng):
        target = rng.normal(size=size)
        prediction = target + 0.5 * rng.normal(size=size)
        table = judged(abs(prediction - target), unit="m", target=target, prediction=prediction)
        return regression.scores(table, seed=seed_of(rng))[score], truth

    return draw


# --- averages over groups, slices, tags -------------------------------------------------------------------------------
def over_values(which: str, sizes: tuple[int, ...], rates: tuple[float, ...]) -> Draw:
    truth = {"average": float(np.mean(rates)), "worst": max(rates)}[which]
    place = np.repeat(np.arange(len(sizes)), sizes)

    def draw(rng):
        found = judged(rng.random(len(place)) < np.array(rates)[place], **{"tag.place": place.astype(str)})
        return costs.average_over(found, "tag.place", seed=seed_of(rng))[which], truth

    return draw


def share_of_errors(errors: int, looked: int, share: float, *, unequal: bool = False) -> Draw:
    """A tag's share of all errors of a split, some of them looked at; its ceiling is the share times the error."""

    def draw(rng):
        masses = rng.choice([1.0, 3.0], errors) if unequal else np.ones(errors)
        tagged = rng.random(errors) < share
        if not tagged.any():
            return draw(rng)
        seen = rng.choice(errors, looked, replace=False)
        found = error_analysis.sampled_share(masses[seen], tagged[seen], population=errors)
        return error_analysis.ceiling(found, 0.1), 0.1 * float((masses * tagged).sum() / masses.sum())

    return draw


# --- people, labels, the lowest possible error --------------------------------------------------------------------
def person(size: int, error: float) -> Draw:
    def draw(rng):
        target = rng.integers(5, size=size)
        answer = np.where(rng.random(size) < error, (target + 1) % 5, target).astype(str)
        answers = pl.DataFrame({"id": np.arange(size), "anna": answer})
        right = {"target": target.astype(str), "prediction": target.astype(str)}
        return people.people(answers, judged(np.zeros(size), **right)).error, error

    return draw


def agreement(size: int, error: float, num_people: int, num_classes: int) -> Draw:
    def draw(rng):
        true = rng.integers(num_classes, size=size)
        columns = {}
        for name in range(num_people):
            wrong = rng.random(size) < error
            columns[f"p{name}"] = np.where(wrong, (true + rng.integers(1, num_classes, size)) % num_classes, true)
        answers = pl.DataFrame({"id": np.arange(size), **columns})
        return people.error_from_agreement(answers, num_classes, seed=seed_of(rng)), error

    return draw


def wrong_labels(rate: float, looked: int, size: int = 2000, suspects: int = 60) -> Draw:
    """Top suspects all looked at, and a random part of the rest."""

    def draw(rng):
        found, rest = rng.binomial(suspects, 0.4), rng.binomial(size, rate)
        seen = int(rng.hypergeometric(rest, size - rest, looked))
        parts = [labels.Part("suspect", suspects, suspects, found), labels.Part("right", size, looked, seen)]
        return labels.estimate_total(parts), found + rest

    return draw


def wrong_labels_in_three_parts(rate: float) -> Draw:
    """Suspects, other errors of the model, what it gets right: each looked at in part."""

    def draw(rng):
        parts, truth = [], 0
        for name, size, share, looked in (
            ("suspect", 100, 0.4, 50),
            ("error", 150, 0.1, 50),
            ("right", 2000, rate, 50),
        ):
            wrong = int(rng.binomial(size, share))
            truth += wrong
            parts.append(labels.Part(name, size, looked, int(rng.hypergeometric(wrong, size - wrong, looked))))
        return labels.estimate_total(parts), truth

    return draw


def neighbour_bound(size: int) -> Draw:
    """Where neighbours tell nothing and three quarters are of one class, 3 of 8 err; solved for the bound."""
    truth = 0.25  # (1 - sqrt(1 - 2 * 3/8)) / 2

    def draw(rng):
        labels_ = (rng.random(size) < 0.25).astype(int)
        return bayes.nearest_neighbour_bound(rng.normal(size=(size, 2)), labels_, 2, seed=seed_of(rng)), truth

    return draw


# --- pipelines --------------------------------------------------------------------------------------------------------
def gain_of_stage(size: int) -> Draw:
    """As it is 30 % wrong, 20 % with the first stage perfect, 5 % with both; what is mended stays mended."""

    def draw(rng):
        u = rng.random(size)
        errors = np.array([u < 0.3, u < 0.2, u < 0.05], dtype=float)
        return pipeline.ceilings(errors, ["find", "read"], seed=seed_of(rng)).ceilings[0].gain, 0.1

    return draw


def blamed(size: int) -> Draw:
    def draw(rng):
        first, second = rng.random(size) >= 0.1, rng.random(size) >= 0.1
        wrong = ~(first & second)
        if not wrong.any():
            return draw(rng)
        found = pipeline.blame(np.array([first, second]), wrong, ["find", "read"], seed=seed_of(rng))
        return found.blames[0].share, 0.1 / 0.19

    return draw


# --- mismatch ---------------------------------------------------------------------------------------------------------
def alike(train: int, dev: int) -> Draw:
    def draw(rng):
        return mismatch.two_sample(rng.normal(size=(train, 3)), rng.normal(size=(dev, 3)), seed=seed_of(rng)).auc, 0.5

    return draw


def column_apart(train: int, dev: int, apart: float) -> Draw:
    """The one column that differs; the other one does not."""

    def draw(rng):
        ours, theirs = rng.normal(size=(train, 1)), rng.normal(size=(dev, 1)) + apart
        found = mismatch.shifted_columns(Appearance(("a",), ours), Appearance(("a",), theirs))
        return (found[0].auc, float(ndtr(apart / math.sqrt(2)))) if found else draw(rng)

    return draw


def halves(size: int, rate: float, more: float) -> Draw:
    """Error of the half of dev that looks least like train, less that of the other half."""

    def draw(rng):
        scores = rng.random(size)
        errors = rng.random(size) < np.where(np.argsort(np.argsort(scores)) >= size // 2, rate + more, rate)
        return mismatch.extra_error_where_dev_like(scores, errors.astype(float)), more

    return draw


# --- learning curves, latency -----------------------------------------------------------------------------------------
def forecast(num_dev: int, factor: float) -> Draw:
    """A power law above a floor; 0/1 errors of systems that share what is hard and differ by seed."""
    shares = (1 / 8, 1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 2, 1 / 2, 1)

    def draw(rng):
        a, b, c = rng.uniform(0.05, 0.2), rng.uniform(0.1, 0.9), rng.choice([0.0, rng.uniform(0, 0.1)])
        hard, noise = rng.normal(size=num_dev), rng.uniform(0.1, 0.5)

        def trained(share):
            latent = math.sqrt(1 - noise) * hard + math.sqrt(noise) * rng.normal(size=num_dev)
            return float((latent < ndtri(min(a * share**-b + c, 0.95))).mean())

        errors = np.array([trained(share) for share in shares])
        variance = np.maximum(errors * (1 - errors), 1 / num_dev) / num_dev
        fitted = curve.fit_curve([round(8000 * share) for share in shares], errors, dev_variance=variance, rng=rng)
        found = curve.forecast(fitted, rng, factor=factor)
        return Interval(found.error, found.low, found.high, "perturbed fits"), trained(factor)

    return draw


def median_time(size: int) -> Draw:
    from gnomon.workflow.judge.latency import median

    def draw(rng):
        return median(rng.lognormal(size=size)), 1.0

    return draw


THREE, RARE = Classes((0.5, 0.3, 0.2), 0.8), Classes((0.75, 0.2, 0.05), 0.85)

CASES = (
    Case("error of a split", "20 examples, 0 to 15 %", plain_share(20, 0, 0.15)),
    Case("error of a split", "20 examples, 15 to 85 %", plain_share(20, 0.15, 0.85)),
    Case("error of a split", "200 examples, 0 to 1.5 %", plain_share(200, 0, 0.015)),
    Case("error of a split", "200 examples, 1.5 to 30 %", plain_share(200, 0.015, 0.3)),
    Case("error of a split", "1,000 examples, 0.1 to 1 %", plain_share(1000, 0.001, 0.01)),
    Case("error of a split", "1,000 examples, 1 to 30 %", plain_share(1000, 0.01, 0.3)),
    Case("error over folds", "100 examples, 5 folds", share_over_folds(100, 5, 20)),
    Case("error over folds", "300 examples, 10 folds", share_over_folds(300, 10, 5)),
    Case("gap of two splits", "20 and 20, 0 to 30 %", gap_of_shares(20, 20, 0, 0.3, 0.3)),
    Case("gap of two splits", "60 and 40, 5 to 40 %", gap_of_shares(60, 40, 0.05, 0.4, 0.2)),
    Case("gap of two splits", "1,000 and 200, 0 to 2 %", gap_of_shares(1000, 200, 0, 0.02, 0.02)),
    Case("gap of two splits", "10,000 and 1,000, 1 to 30 %", gap_of_shares(10_000, 1000, 0.01, 0.3, 0.1)),
    Case("shares in between", "20 examples", partial_shares(20)),
    Case("shares in between", "200 examples", partial_shares(200)),
    Case("weighted error, weights 1 and 10", "40 examples, 10 %", weighted_share(40, 0.1)),
    Case("weighted error, weights 1 and 10", "400 examples, 2 %", weighted_share(400, 0.02)),
    Case("weighted error, weights 1 and 10", "400 examples, 10 %", weighted_share(400, 0.1)),
    Case("error with a costly class", "100 examples", costly_class(100)),
    Case("error with a costly class", "500 examples", costly_class(500)),
    Case("error over groups", "10 groups of 10", grouped_share(10)),
    Case("error over groups", "40 groups of 10", grouped_share(40)),
    Case("absolute error", "8 examples", absolute_errors(8)),
    Case("absolute error", "20 examples", absolute_errors(20)),
    Case("absolute error", "200 examples", absolute_errors(200)),
    Case("absolute error, nine of ten 0", "50 examples", rare_errors(50)),
    Case("absolute error, nine of ten 0", "200 examples", rare_errors(200)),
    Case("absolute error over groups", "12 groups of 10", grouped_errors(12)),
    Case("absolute error over groups", "40 groups of 10", grouped_errors(40)),
    Case("gap of absolute errors", "200 and 40", gap_of_errors(200, 40)),
    Case("a split's own metric (root mean square)", "20 examples", whole_metric(20)),
    Case("a split's own metric (root mean square)", "200 examples", whole_metric(200)),
    Case("a split's own metric (1 - F1)", "60 examples, 30 % positive", whole_f1(60, 0.3)),
    Case("a split's own metric (1 - F1)", "200 examples, 5 % positive", whole_f1(200, 0.05)),
    Case("paired difference of shares", "20 examples", paired_shares(20, 0.1, 0.1, 0.1)),
    Case("paired difference of shares", "200 examples, 1.5 % and 0.5 %", paired_shares(200, 0.015, 0.005, 0.05)),
    Case("paired difference of shares", "200 examples, 6 % and 2 %", paired_shares(200, 0.06, 0.02, 0.07)),
    Case("paired difference of shares", "2,000 examples, 2 % and 1 %", paired_shares(2000, 0.02, 0.01, 0.05)),
    Case("paired difference of absolute errors", "20 examples", paired_errors(20)),
    Case("paired difference of absolute errors", "200 examples", paired_errors(200)),
    Case("paired difference, weights 1 and 10", "100 examples", paired_weighted(100)),
    Case("paired difference, weights 1 and 10", "400 examples", paired_weighted(400)),
    Case("paired difference over groups", "12 groups of 10", paired_grouped(12)),
    Case("paired difference over groups", "40 groups of 10", paired_grouped(40)),
    Case("paired difference of a split's own metric (1 - F1)", "60 examples", paired_f1(60)),
    Case("paired difference of a split's own metric (1 - F1)", "300 examples", paired_f1(300)),
    Case("gain of a change", "1 seed, 400 examples", gain_over_seeds(1)),
    Case("gain of a change", "3 seeds, 400 examples", gain_over_seeds(3)),
    *(
        Case(score, corner, score_of_classes(score, classes, size), 600)
        for score in ("accuracy", "balanced accuracy", "macro precision", "macro recall", "macro F1")
        for classes, size, corner in (
            (THREE, 60, "3 classes, 60 examples"), (THREE, 300, "3 classes, 300 examples"),
            (RARE, 200, "3 classes, 200 examples, one class of 5 %"),
        )
    ),
    Case("log loss", "30 examples", log_loss(30), 1000),
    Case("log loss", "300 examples", log_loss(300), 1000),
    Case("calibration error", "200 examples, calibrated", calibration_error(200, 0.0)),
    Case("calibration error", "200 examples, 3 points too sure", calibration_error(200, 0.03)),
    Case("calibration error", "200 examples, 10 points too sure", calibration_error(200, 0.1)),
    Case("calibration error", "2,000 examples, 5 points too sure", calibration_error(2000, 0.05)),
    Case("AUC", "10 and 10, 0.76", area_under_roc(10, 10, 1.0)),
    Case("AUC", "5 and 200, 0.76", area_under_roc(5, 200, 1.0)),
    Case("AUC", "20 and 200, 0.98", area_under_roc(20, 200, 3.0)),
    Case("AUC", "50 and 70, 0.76", area_under_roc(50, 70, 1.0)),
    Case("AUC", "500 and 500, 0.92", area_under_roc(500, 500, 2.0)),
    Case("macro AUC", "3 classes, 60 examples, 0.86", macro_area((0.5, 0.3, 0.2), 60)),
    Case("macro AUC", "3 classes, 300 examples, 0.86", macro_area((0.5, 0.3, 0.2), 300)),
    Case("macro AUC", "3 classes, 200 examples, one class of 5 %, 0.86", macro_area((0.75, 0.2, 0.05), 200)),
    *(
        Case(f"{score} of a class", corner, score_of_one(score, size, share, beta))
        for score, beta in (("precision", 1.0), ("recall", 1.0), ("specificity", 1.0), ("F1", 1.0), ("F2", 2.0))
        for size, share, corner in (
            (60, 0.3, "60 examples, 30 % positive"), (200, 0.05, "200 examples, 5 % positive"),
            (1000, 0.05, "1,000 examples, 5 % positive"),
        )
    ),
    *(
        Case(score, f"{size} examples", score_of_numbers(score, size))
        for score in ("mean absolute error", "root mean squared error", "R2")
        for size in (20, 200)
    ),
    Case(
        "average over a tag's values", "20, 50 and 200 examples",
        over_values("average", (20, 50, 200), (0.3, 0.2, 0.1)),
    ),
    Case("average over a tag's values", "200 each", over_values("average", (200, 200, 200), (0.3, 0.2, 0.1))),
    Case("worst of a tag's values", "20, 50 and 200 examples", over_values("worst", (20, 50, 200), (0.3, 0.2, 0.1))),
    Case("worst of a tag's values", "5 of 100, all equal", over_values("worst", (100,) * 5, (0.2,) * 5)),
    Case("worst of a tag's values", "200 each, one far worse", over_values("worst", (200,) * 3, (0.4, 0.2, 0.1))),
    Case("ceiling of a tag", "20 of 60 errors reviewed, 10 %", share_of_errors(60, 20, 0.1)),
    Case("ceiling of a tag", "100 of 400 errors reviewed, 30 %", share_of_errors(400, 100, 0.3)),
    Case("ceiling of a tag", "100 of 400 errors reviewed, 3 %", share_of_errors(400, 100, 0.03)),
    Case("ceiling of a tag", "100 of 400 unequal errors, 30 %", share_of_errors(400, 100, 0.3, unequal=True)),
    Case("human error", "100 examples, 3 %", person(100, 0.03)),
    Case("human error", "1,000 examples, 0.5 %", person(1000, 0.005)),
    Case("human error from agreement", "60 examples, 2 people, 2 classes", agreement(60, 0.1, 2, 2)),
    Case("human error from agreement", "300 examples, 3 people, 5 classes", agreement(300, 0.1, 3, 5)),
    Case("human error from agreement", "300 examples, 2 people, 2 classes, 1 %", agreement(300, 0.01, 2, 2)),
    Case("wrong labels", "60 suspects, 200 of 2,000 others, 0.5 %", wrong_labels(0.005, 200)),
    Case("wrong labels", "60 suspects, 100 of 2,000 others, 5 %", wrong_labels(0.05, 100)),
    Case("wrong labels", "half of 100 suspects, 50 errors, 50 right of 2,000, 1 %", wrong_labels_in_three_parts(0.01)),
    Case("lowest possible error (nearest neighbour)", "300 examples", neighbour_bound(300)),
    Case("lowest possible error (nearest neighbour)", "2,000 examples", neighbour_bound(2000), 500),
    Case("gain of a perfect stage", "40 examples", gain_of_stage(40)),
    Case("gain of a perfect stage", "300 examples", gain_of_stage(300)),
    Case("share of errors that start in a stage", "100 examples", blamed(100)),
    Case("share of errors that start in a stage", "1,000 examples", blamed(1000)),
    Case("two-sample AUC, no difference", "60 and 60", alike(60, 60), 400),
    Case("two-sample AUC, no difference", "300 and 150", alike(300, 150), 200),
    Case("AUC of a shifted column", "100 and 60, 0.76", column_apart(100, 60, 1.0)),
    Case("more error where least like train", "100 examples, 5 % and 15 %", halves(100, 0.05, 0.1)),
    Case("more error where least like train", "400 examples, 10 % and 10 %", halves(400, 0.1, 0.0)),
    Case("forecast at twice the data", "400 dev examples", forecast(400, 2.0)),
    Case("forecast at twice the data", "2,000 dev examples", forecast(2000, 2.0)),
    Case("forecast at four times the data", "2,000 dev examples", forecast(2000, 4.0)),
    Case("latency", "30 calls", median_time(30)),
    Case("latency", "1,000 calls", median_time(1000)),
)  # fmt: skip
