"""With bias correction, exponentially weighted averages are right from the first value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import BLUE, MUTED, ORANGE, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._descent import Softmax, bundled
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, fact, factor, over_seeds, within
from gnomon.gallery._pictures import COLOURS, dots, spread
from gnomon.reference import Array
from gnomon.reference.averages import weighted_averages
from gnomon.reference.optimisers import adam_step

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BETA = 0.98  # an average over about 50 values
FIRST = 10  # values that count as "the first"
STEPS = 400  # of training: values of the series; 400 = 8/(1 - BETA)
LATE = 250  # = 5/(1 - BETA): from here on the correction should not matter
BATCH = 32
RATE = 0.002  # of the training whose costs are averaged
BETA2S = (0.99, 0.999, 0.9999)  # of Adam
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
ADAM_STEPS = 170  # five epochs


@dataclass(frozen=True)
class Measured:
    """Costs of mini-batches during a training, their averages; and Adam's cost with and without correction."""

    values: Array  # (seeds, STEPS)
    plain: Array  # (seeds, STEPS) v_t
    corrected: Array  # (seeds, STEPS) v_t / (1 - BETA^t)
    closed_form_gap: float  # largest difference between v_t and the closed form
    rates: Mapping[str, float]  # "0.9999 corrected" -> the rate chosen
    adam: Mapping[str, Array]  # same keys -> (seeds, ADAM_STEPS + 1) costs on all training examples
    same_rate: Array  # (seeds, ADAM_STEPS + 1) without correction, at the rate that is best with it, beta_2 = 0.9999


def batch_costs(seed: int) -> Array:
    """The cost of each mini-batch before its step: a real series, of the kind that is averaged in practice."""
    problem = Softmax(*bundled("digits", seed))
    W = problem.start(seed)
    costs = np.empty(STEPS)
    m = v = np.zeros_like(W)
    for t, rows in enumerate(problem.batches(seed, BATCH, STEPS), start=1):
        costs[t - 1], gradient = problem.cost_and_gradient(W, rows)
        W, m, v = adam_step(W, gradient, m, v, t, learning_rate=RATE)
    return costs


def adam_costs(seed: int, rate: float, beta2: float, is_corrected: bool) -> Array:
    """(ADAM_STEPS + 1,) costs on all training examples. Without correction, Adam runs as if t were infinite."""
    problem = Softmax(*bundled("digits", seed))
    W = problem.start(seed)
    m = v = np.zeros_like(W)
    costs = [problem.cost(W)]
    for t, rows in enumerate(problem.batches(seed, BATCH, ADAM_STEPS), start=1):
        gradient = problem.cost_and_gradient(W, rows)[1]
        age = t if is_corrected else 10**9
        W, m, v = adam_step(W, gradient, m, v, age, learning_rate=rate, beta2=beta2)
        costs.append(problem.cost(W))
    return np.array(costs)


def written_out(values: Array) -> Array:
    """v_t = (1 - beta) sum over k <= t of beta^(t-k) theta_k, as a sum: the closed form."""
    ages = np.arange(len(values))[:, np.newaxis] - np.arange(len(values))
    kernel = np.where(ages >= 0, (1 - BETA) * BETA ** np.maximum(ages, 0), 0.0)
    return kernel @ values


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    progress(0, "costs of mini-batches")
    values = np.array([batch_costs(seed) for seed in seeds])
    plain = np.array([weighted_averages(series, beta=BETA, is_corrected=False) for series in values])
    gap = max(float(np.abs(v - written_out(series)).max()) for v, series in zip(plain, values, strict=True))
    variants = [(beta2, is_corrected) for beta2 in BETA2S for is_corrected in (True, False)]
    rates, adam = dict[str, float](), dict[str, Array]()
    for i, (beta2, is_corrected) in enumerate(variants):
        key = f"{beta2:g} {'corrected' if is_corrected else 'uncorrected'}"
        progress(0.1 + 0.9 * i / len(variants), f"Adam, beta_2 = {key}")

        def tuned(rate: float, beta2: float = beta2, is_corrected: bool = is_corrected) -> float:
            return float(adam_costs(TUNING_SEED, rate, beta2, is_corrected)[-1])

        rates[key] = best_of(tuned, RATES)
        adam[key] = np.array([adam_costs(seed, rates[key], beta2, is_corrected) for seed in seeds])
    corrected = np.array([weighted_averages(series, beta=BETA) for series in values])
    rate = rates["0.9999 corrected"]
    same_rate = np.array([adam_costs(seed, rate, 0.9999, False) for seed in seeds])
    return Measured(values, plain, corrected, gap, rates, adam, same_rate)


def running_means(values: Array) -> Array:
    """The plain mean of all values so far, (seeds, T)."""
    means: Array = np.cumsum(values, axis=1) / np.arange(1, values.shape[1] + 1)
    return means


def judge(measured: Measured) -> tuple[Part, ...]:
    so_far = running_means(measured.values)
    early, late = slice(0, FIRST), slice(LATE, None)
    plain = (measured.plain / so_far)[:, early].mean(axis=1)
    corrected = (measured.corrected / so_far)[:, early].mean(axis=1)
    apart = np.abs(measured.corrected / measured.plain - 1)[:, late].max(axis=1)
    ends = {key: costs[:, -1] for key, costs in measured.adam.items()}
    gap = measured.closed_form_gap
    return (
        fact("v_t is the weighted sum of all values so far", gap < 1e-12, f"largest difference {gap:.1g}"),
        below(f"without correction the first {FIRST} averages are far too low", over_seeds(plain), 0.5, "of the mean"),
        within("with correction they are right", over_seeds(corrected), 0.9, 1.1, "of the mean"),
        below(f"after {LATE} values = 5/(1 - beta) the correction no longer matters", over_seeds(apart), 0.01, "apart"),
        above(
            "Adam with beta_2 = 0.9999 trains worse without correction, at the rate that is best with it",
            factor(measured.same_rate[:, -1], ends["0.9999 corrected"]),
            1.0,
            "times the cost",
        ),
        above(
            "and also with each at its own best rate",
            factor(ends["0.9999 uncorrected"], ends["0.9999 corrected"]), 1.0, "times the cost",
        ),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = []
    for key, costs in measured.adam.items():
        beta2, kind = key.split()
        first, last = np.median(costs[:, FIRST]), np.median(costs[:, -1])
        rows.append((f"Adam, beta_2 = {beta2}, {kind}", f"{measured.rates[key]:g}", f"{first:.3f}", f"{last:.4f}"))
    return Table(("update", "best rate", f"cost after {FIRST} steps", f"after {ADAM_STEPS}"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    steps = np.arange(1, STEPS + 1)
    left.plot(steps, measured.values[0], ".", color=MUTED, markersize=2.5, alpha=0.6, label="cost of a mini-batch")
    spread(left, steps, measured.plain[:1], "average, uncorrected", ORANGE)
    spread(left, steps, measured.corrected[:1], "average, corrected", BLUE)
    left.set_title(f"averages with beta = {BETA:g}, one training")
    left.set_xlabel("step")
    left.set_ylim(bottom=0)
    few_ticks(left.yaxis, 5)
    left.legend(fontsize=8)
    labels = [f"{key.split()[0]}\n{'with' if key.endswith(' corrected') else 'without'}" for key in measured.adam]
    colours = [COLOURS[0], COLOURS[1]] * len(BETA2S)
    dots(right, [costs[:, -1] for costs in measured.adam.values()], labels, colours)
    right.tick_params(axis="x", labelsize=7.5)
    right.set_title(f"Adam: cost after {ADAM_STEPS} steps")
    right.set_xlabel("beta_2, with and without correction")
    few_ticks(right.yaxis, 5)
    return figure


CLAIM = Claim(
    claimed="Exponentially weighted averages start at zero, so the first ones are far too low; divided by 1 - beta^t "
    "they are right from the first value, and later the correction makes no difference. In Adam, leaving it out makes "
    "the first steps too large and training unstable if beta_2 is close to 1.",
    source="Kingma & Ba 2015, Adam, sections 3 and 6.4; Ng, Improving Deep Neural Networks, week 2.",
    experiment=f"The costs of {STEPS} mini-batches of {BATCH} digits while a softmax regression is trained, averaged "
    f"with beta = {BETA:g} (about 50 values), compared with the plain mean of all values so far. Then the same "
    f"regression trained with Adam for {ADAM_STEPS} steps with and without the correction, for three values of beta_2, "
    f"each at the best of {len(RATES)} learning rates, chosen on a separate seed. Each seed draws its own 80 % of the "
    "digits, initial weights and order.",
    rule=f"Over the first {FIRST} values, mean ratio to the plain mean: below 0.5 without correction, between 0.9 and "
    f"1.1 with it. From value {LATE} on: less than 1 % apart. Adam: the ratio of final costs is above 1 for "
    "beta_2 = 0.9999, at the same rate and each at its best. Each by the 95 % interval over seeds.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
