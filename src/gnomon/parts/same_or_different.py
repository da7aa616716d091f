"""Pairs judged: same or different by a distance and a threshold that is chosen on dev; everything over identities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Examples
from gnomon.core.parts import Batch, Judge, Predictions
from gnomon.core.seeds import generator
from gnomon.data.columns import Columns, Shared
from gnomon.data.pairs import DIFFERENT, MOST_DIFFERENT, MOST_SAME, SAME, Pairs, pairs_to_judge
from gnomon.metrics import verification as measures
from gnomon.metrics.identity_table import PEOPLE, PICTURES
from gnomon.metrics.interval import Interval
from gnomon.metrics.verification import Compared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.parts.identities import IdentityHead

SPARE = 2  # times the pairs that a false accept rate needs, where there are so many
MOST_TRIED = 400  # training pictures whose pairs choose the threshold of the pixels' distance
PENALTY = 1e-3  # on the square of the slope of the belief, where dev has no pair on the wrong side
STEPS = 30  # of Newton's method


@final
@dataclass(frozen=True)
class PairJudge(Judge):
    """Two pictures are of one identity when their distance is below the threshold."""

    can_average: ClassVar[bool] = True
    has_references: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("distance",)

    far: float | None = None  # the false accept rate that the threshold is for; None: as many false accepts as rejects
    threshold: float = 1.0  # chosen on dev by `calibrate`, as `slope`: how fast belief grows with the distance from it
    slope: float = 4.0

    @classmethod
    def of(cls, head: IdentityHead) -> Self:
        return cls(head.far)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "verification error"

    def judged(self, examples: Examples, seed: int) -> Examples:
        """Pairs of its pictures. Raises DataError where they are too few for the false accept rate asked for."""
        needed = 0 if self.far is None else measures.pairs_needed(self.far)
        if isinstance(examples, Pairs):
            pairs = examples
        else:
            pairs = pairs_to_judge(examples, seed, MOST_SAME, max(MOST_DIFFERENT, SPARE * needed))
        different = len(pairs) - int(pairs.same.sum())
        if different < needed:
            raise DataError(
                f"far={self.far:g} needs {needed:,} pairs of two identities in every split; one has {different:,}.",
                fix="add identities, or ask for a rate that fewer pairs can show: 3 / far of them are needed.",
            )
        return pairs

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        distance = outputs.double().cpu().numpy()
        apart = self.threshold - distance
        confidence = 1 / (1 + np.exp(-np.minimum(self.slope * np.abs(apart), 500)))
        columns = {"distance": distance, "threshold": np.full(len(distance), self.threshold)}
        for names, key in ((PEOPLE, "people"), (PICTURES, "pictures")):
            if key in batch:
                codes = batch[key].cpu().numpy()
                columns |= {name: codes[:, side] for side, name in enumerate(names)}
        return Predictions((apart > 0).astype(np.int64), confidence, columns)

    def targets(self, batch: Batch) -> np.ndarray:
        return batch["same"].cpu().numpy().astype(np.int64)

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        return (np.asarray(values) != self.targets(batch)).astype(np.float64)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        return pl.Series([SAME if value else DIFFERENT for value in values], dtype=pl.String)

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        """The mean of both kinds' shares of errors; where identities are drawn again, pairs count by both of theirs."""
        if not set(PEOPLE) <= set(table.columns):
            return None
        first, second = _people(table)
        wrong, is_same = (table["prediction"] != table["target"]).to_numpy().astype(np.float64), first == second
        has_rows = np.zeros(int(max(first.max(), second.max())) + 1, dtype=bool)
        has_rows[first] = True

        def error(counts: np.ndarray) -> float:
            times = np.where(has_rows, 0.0, 1.0)
            np.maximum.at(times, first, counts)
            weights = (counts > 0) * measures.identity_weights(first, second, times)
            found = measures.half_error(wrong, is_same, weights)
            if math.isnan(found) and weights.sum() > 0:  # pairs of one kind alone
                return float(weights @ wrong / weights.sum())
            return found

        return error

    def calibrate(self, evaluation: Evaluation) -> Self:
        """The threshold and the slope, from dev; unchanged where it lacks pairs of a kind."""
        table = evaluation.table
        apart = (table["distance"] - table["threshold"]).to_numpy()  # of several folds, each from its own threshold
        is_same = (table["target"] == SAME).to_numpy()
        threshold = measures.threshold_for(Compared.of(apart, is_same), self.far)
        if math.isnan(threshold):
            return self
        return replace(self, threshold=self.threshold + threshold, slope=_slope(threshold - apart, is_same))

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return scores(evaluation.table, self.far)

    def less_is_better(self, measure: str) -> bool:
        return measure in ("equal error rate", "false accept rate", "false reject rate")

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        """Distances (B,): the mean over models of how far a pair is from each one's threshold."""
        each = [judge.slope / self.slope * (outputs - judge.threshold) for judge, outputs in answers]
        return self.threshold + torch.stack(each).mean(dim=0)

    def reference_answers(self, train: Columns, dev: Columns) -> Mapping[str, Any]:
        """Pixels compared without training: the threshold of their distance comes from train."""
        name, key = (
            ("the distance of pixels", "image") if "image" in dev else ("the distance of frozen features", "given")
        )
        pixels, pairs, identity = train[key], dev[key], train["identity"]
        assert isinstance(pixels, Tensor)
        assert isinstance(pairs, Shared)
        assert isinstance(identity, Tensor)
        few = np.unique(np.linspace(0, len(pixels) - 1, min(len(pixels), MOST_TRIED)).astype(np.int64))
        left, right = np.triu_indices(len(few), k=1)
        known = _distances(pixels.cpu().numpy()[few], left, right)
        is_same = identity.cpu().numpy()[few][left] == identity.cpu().numpy()[few][right]
        threshold = measures.threshold_for(Compared.of(known, is_same), self.far)
        rows = pairs.rows.cpu().numpy()
        found = _distances(pairs.values.cpu().numpy(), rows[:, 0], rows[:, 1]) < threshold
        return {"always different": np.zeros(len(rows), np.int64), name: found.astype(np.int64)}

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        from gnomon.figures.verification import draw_distances, draw_roc

        table = evaluation.table
        apart, is_same = (table["distance"] - table["threshold"]).to_numpy(), (table["target"] == SAME).to_numpy()
        pairs = Compared.of(apart, is_same)
        if np.isnan(pairs.rates()[1][-1]) or np.isnan(pairs.rates()[2][-1]):
            return {}
        different = int((~is_same).sum())
        lacking = [far for far in measures.MEASURED_AT if different < measures.pairs_needed(far)]
        why = "; ".join(
            f"FAR {far:.1%} needs {measures.pairs_needed(far):,} pairs of two identities" for far in lacking
        )
        title = "true accepts by false accepts" + (f" ({why}, there are {different:,})" if why else "")
        return {title: draw_roc(pairs), "distances of pairs": draw_distances(apart, is_same)}


def scores(table: pl.DataFrame, far: float | None, seed: int = 0) -> dict[str, Interval]:
    """Equal error rate, AUC, rates at the threshold, TAR at what FAR the pairs allow, rank-1; over identities."""
    if not set(PEOPLE) <= set(table.columns) or not len(table):
        return {}
    first, second = _people(table)
    is_same = first == second
    apart = (table["distance"] - table["threshold"]).to_numpy()
    if is_same.all() or not is_same.any():
        return {}
    order = np.argsort(apart, kind="stable")
    ranked, kinds = apart[order], is_same[order]
    rates = sorted({*measures.MEASURED_AT, *([] if far is None else [far])}, reverse=True)
    fars = [one for one in rates if (~is_same).sum() >= measures.pairs_needed(one)]
    accepted = (table["prediction"] == SAME).to_numpy()[order]

    def every(weights: np.ndarray) -> np.ndarray:
        pairs = Compared(ranked, kinds, weights[order])
        same, different = weights[order] * kinds, weights[order] * ~kinds
        with np.errstate(invalid="ignore", divide="ignore"):
            at_threshold = [(different @ accepted) / different.sum(), 1 - (same @ accepted) / same.sum()]
        areas = [measures.equal_error(pairs), measures.area(pairs)]
        return np.array([*areas, *at_threshold, *(measures.true_accepts(pairs, one) for one in fars)])

    names = [
        "equal error rate",
        "AUC",
        "false accept rate",
        "false reject rate",
        *(f"TAR at FAR {one:.2g}" for one in fars),
    ]
    rng = generator(seed, "identities")
    found = dict(zip(names, measures.over_identities(first, second, every, rng), strict=True))
    probes, chance = measures.rank_one(apart, table.select(PICTURES).to_numpy(), np.stack([first, second], axis=1))
    if len(probes):
        found["rank-1 identification"] = measures.over_probes(probes, chance, rng)
    return found


def _people(table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N,): whole numbers from 0 on for the identity of each side."""
    codes = table.select(PEOPLE).to_numpy()
    found = np.unique(codes, return_inverse=True)[1].reshape(codes.shape)
    return found[:, 0], found[:, 1]


def _distances(values: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(N,) of rows (M, ...), which are compared as they are."""
    rows = values.reshape(len(values), -1).astype(np.float32) / 255
    squares = np.square(rows).sum(axis=1, dtype=np.float64)
    found = np.empty(len(left))
    for start in range(0, len(left), 1024):
        some = slice(start, start + 1024)
        product = np.einsum("nd,nd->n", rows[left[some]], rows[right[some]])
        found[some] = squares[left[some]] + squares[right[some]] - 2 * product
    return found


def _slope(apart: np.ndarray, is_same: np.ndarray) -> float:
    """Of the belief 1 / (1 + exp(-slope * apart)) in "same", both kinds weighing alike: maximum likelihood."""
    weights = np.where(is_same, 0.5 / is_same.sum(), 0.5 / (~is_same).sum())
    unit = float(np.abs(apart).mean()) or 1.0
    scaled, slope = np.where(is_same, apart, -apart) / unit, 1.0
    for _ in range(STEPS):
        belief = 1 / (1 + np.exp(np.clip(slope * scaled, -500, 500)))  # in the wrong answer
        gradient = -(weights * scaled) @ belief + PENALTY * slope
        curvature = (weights * scaled**2) @ (belief * (1 - belief)) + PENALTY
        slope = float(np.clip(slope - gradient / curvature, 1e-3, 1e3))
    return slope / unit
