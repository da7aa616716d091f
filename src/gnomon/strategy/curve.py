"""Error as a function of the number of training examples: fitted power laws, and a forecast with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gnomon.core.errors import UsageError
from gnomon.strategy.wording import format_error

Form = Literal["power law above a floor", "power law", "straight line in log n"]
FORMS: tuple[Form, ...] = ("power law above a floor", "power law", "straight line in log n")
PARAMETERS = (3, 2, 2)  # fitted numbers in each form

ROUNDS = 400  # of the bootstrap
FARTHEST = 4.0  # times the largest number of examples measured: a forecast beyond this is worthless
FEWEST_SIZES = 4  # a curve with three numbers passes through any three points
EXPONENTS = np.linspace(0.04, 1.0, 25)  # of n, tried in turn: 0 < b <= 1
PRIOR_RUNS = 2.0  # how many repeated trainings the prior for the training noise is worth
PRIOR_SHARE = 0.5  # of the variance due to the dev examples: the prior for the variance between seeds
FLAT = 0.05  # if twice the data removes a smaller share of the error than this, more data will not help ...
SURELY_FLAT = 0.2  # ... provided the fits rule out more than this share


@dataclass(frozen=True)
class CurvePoint:
    """A system that was trained on part of train, and its error on dev."""

    examples: int  # trained on
    error: float
    seed: int
    train_error: float
    cost: float = 0.0  # multiply-adds


@dataclass(frozen=True)
class Forecast:
    """What more training examples would do for the error on these dev examples."""

    factor: float  # times the current number of examples
    examples: int
    now: float  # the curve's own error at the current number of examples
    error: float
    low: float  # of a 95 % interval that covers seeds, the fit, and the choice of form
    high: float
    most_gain: float = 0.0  # 97.5th percentile of the gain over the fits, without seed noise

    @property
    def gain(self) -> float:
        """How much lower the error would be, in its unit."""
        return self.now - self.error


@dataclass(frozen=True)
class Fitted:
    """A learning curve: ROUNDS fits to resampled points, one row each: a (n / most)^(-b) + c, or c - a ln(n / most)."""

    most: int  # examples
    form: np.ndarray  # (R,) place in FORMS
    a: np.ndarray  # (R,)
    b: np.ndarray  # (R,)
    c: np.ndarray  # (R,)
    noise: np.ndarray  # (R,) standard deviation between seeds at `most`
    weights: tuple[float, ...]  # for each of FORMS: share of the fits that chose it

    def at(self, examples: float) -> np.ndarray:
        """(R,) errors of systems trained on this many examples."""
        ratio = examples / self.most
        line = self.c - self.a * math.log(ratio)
        power = self.a * ratio**-self.b + self.c
        return np.maximum(np.where(self.form == 2, line, power), 0.0)


def fit_curve(
    examples: Sequence[int], errors: Sequence[float], *, dev_variance: Sequence[float], rng: np.random.Generator
) -> Fitted | None:
    """The curve through P points, as ROUNDS fits to points perturbed according to their uncertainty.

    The variance between seeds and subsets is estimated from points of equal size, with a prior from
    `dev_variance` (P,), the sampling variance of each error. Each round draws one of FORMS according to how well it
    fits (Akaike weights), so that the spread over rounds includes the choice of form. None with fewer than FEWEST_SIZES
    different sizes.

    The curve describes errors on these dev examples. How far they are from the errors on all other examples is given by
    the interval of the dev error, which is the same for every point.
    Source of the form: Hestness et al. 2017; Mukherjee et al. 2003.
    """
    sizes = np.asarray(examples, dtype=np.float64)
    observed = np.asarray(errors, dtype=np.float64)
    if len(np.unique(sizes)) < FEWEST_SIZES:
        return None
    from_dev = np.maximum(np.asarray(dev_variance, dtype=np.float64), 1e-12)
    variance, freedom = _training_variance(sizes, observed, from_dev)
    variance = variance * max(1.0, _misfit(sizes, observed, variance))
    spread = np.sqrt(freedom / rng.chisquare(freedom, size=(ROUNDS, 1)))
    perturbed = observed + spread * np.sqrt(variance) * rng.normal(size=(ROUNDS, len(sizes)))
    a, b, c, misses = _fits(sizes, np.maximum(perturbed, 0.0), variance)
    chosen = _choose(misses, rng)
    row = np.arange(ROUNDS)
    return Fitted(
        most=int(sizes.max()),
        form=chosen,
        a=a[row, chosen],
        b=b[row, chosen],
        c=c[row, chosen],
        noise=math.sqrt(float(variance[int(sizes.argmax())])) * spread[:, 0],
        weights=tuple(float((chosen == form).mean()) for form in range(len(FORMS))),
    )


def forecast(curve: Fitted, rng: np.random.Generator, *, factor: float = 2.0) -> Forecast:
    """The error with `factor` times the current number of examples. Raises UsageError beyond FARTHEST."""
    if not 1 < factor <= FARTHEST:
        raise UsageError(
            f"a forecast at {factor:g} times the data is not possible.",
            fix=f"ask for more than 1 and at most {FARTHEST:g} times.",
        )
    now, later = curve.at(curve.most), curve.at(factor * curve.most)
    noise = curve.noise * np.sqrt(np.maximum(later, 0.0) / np.maximum(now, 1e-12))
    seen = np.maximum(later + noise * rng.normal(size=len(later)), 0.0)
    low, high = np.quantile(seen, [0.025, 0.975])
    middle = float(np.median(later))
    return Forecast(
        factor=factor,
        examples=round(factor * curve.most),
        now=float(np.median(now)),
        error=middle,
        low=min(float(low), middle),
        high=max(float(high), middle),
        most_gain=float(np.quantile(now - later, 0.975)),
    )


def is_flat(found: Forecast) -> bool:
    """Whether this much more data removes next to nothing, and the fits are certain enough about it."""
    return found.gain < FLAT * found.now and found.most_gain <= SURELY_FLAT * found.now


def forecast_text(found: Forecast, unit: str | None) -> str:
    """`twice the data: 4.1 % -> 3.3 % [2.9, 3.8]`."""
    times = {2.0: "twice", 3.0: "three times", 4.0: "four times"}.get(found.factor, f"{found.factor:g} times")
    low, high = (format_error(end, unit).split(" ")[0] for end in (found.low, found.high))
    return f"{times} the data: {format_error(found.now, unit)} -> {format_error(found.error, unit)} [{low}, {high}]"


# --- fits -------------------------------------------------------------------------------------------------------------
def _training_variance(sizes: np.ndarray, errors: np.ndarray, from_dev: np.ndarray) -> tuple[np.ndarray, float]:
    """(P,) variance between seeds and subsets, in proportion to the error; its degrees of freedom.

    From points of equal size; if there are few, a prior (PRIOR_SHARE) helps that counts as PRIOR_RUNS of them.
    """
    level = np.maximum(errors, 1e-3 * max(float(errors.max()), 1e-9))
    squares, freedom = 0.0, 0.0
    for size in np.unique(sizes):
        same = errors[sizes == size]
        if len(same) > 1:
            squares += float(((same - same.mean()) ** 2).sum() / max(same.mean(), 1e-12))
            freedom += len(same) - 1
    guess = PRIOR_SHARE * float(np.median(from_dev / level))
    ratio = (PRIOR_RUNS * guess + squares) / (PRIOR_RUNS + freedom)
    return ratio * level, PRIOR_RUNS + freedom + 2.0


def _misfit(sizes: np.ndarray, errors: np.ndarray, variance: np.ndarray) -> float:
    """How much larger the residual squares of the best form are than expected, per degree of freedom."""
    _, _, _, misses = _fits(sizes, errors[None], variance)
    freedom = np.maximum(len(sizes) - np.array(PARAMETERS), 1)
    return float((misses[0] / freedom).min())


def _fits(
    sizes: np.ndarray, rows: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weighted least squares of every form to every row (R, P) of errors: a, b, c, residual squares, each (R, 3)."""
    logs = np.log(sizes / sizes.max())
    weight = 1.0 / variance
    found = [np.zeros((len(rows), len(FORMS))) for _ in range(4)]
    found[3][:] = np.inf
    for exponent in EXPONENTS:
        basis = np.exp(-exponent * logs)
        for form, has_floor in ((0, True), (1, False)):
            _keep_better(found, form, float(exponent), *_line(basis, rows, weight, has_floor=has_floor))
    _keep_better(found, 2, 0.0, *_line(-logs, rows, weight, has_floor=True))
    return found[0], found[1], found[2], found[3]


def _line(
    basis: np.ndarray, rows: np.ndarray, weight: np.ndarray, *, has_floor: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """rows = a * basis + c with a, c >= 0 (c = 0 without a floor): a, c and weighted residual squares, each (R,)."""
    xx, x = float(weight @ basis**2), float(weight @ basis)
    xy, y, one = rows @ (weight * basis), rows @ weight, float(weight.sum())
    alone = np.maximum(xy / xx, 0.0)  # with c = 0
    a, c = alone, np.zeros(len(rows))
    if has_floor:
        between = xx * one - x * x
        slope = (one * xy - x * y) / between if between > 1e-12 * xx * one else np.zeros(len(rows))
        floor = (y - slope * x) / one
        a = np.where(slope < 0, 0.0, np.where(floor < 0, alone, slope))
        c = np.where(slope < 0, y / one, np.where(floor < 0, 0.0, floor))
    left = ((rows - a[:, None] * basis - c[:, None]) ** 2) @ weight
    return a, c, left


def _keep_better(
    found: list[np.ndarray], form: int, exponent: float, a: np.ndarray, c: np.ndarray, left: np.ndarray
) -> None:
    better = left < found[3][:, form]
    for place, values in enumerate((a, np.full(len(a), exponent), c, left)):
        found[place][better, form] = values[better]


def _choose(misses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(R,) the index of a form in FORMS, drawn with Akaike weights from the residual squares (R, 3)."""
    scores = -0.5 * misses - np.array(PARAMETERS)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    chosen: np.ndarray = np.minimum((rng.random((len(misses), 1)) > shares).sum(axis=1), len(FORMS) - 1)
    return chosen
