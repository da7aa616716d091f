"""The longer the gap, the less a plain recurrent net recalls; gates carry further, and attention reaches any step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery import _recall
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, over_seeds
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAPS = (5, 10, 30)  # distractors between the symbol and the answer
UPDATES = 400
RATES = (0.01, 0.03)
NETS = ("plain", "plain, orthogonal", "GRU", "LSTM, bias 1", "attention")
GUESS = 100 * (1 - 1 / _recall.SYMBOLS)  # error of a guess, %
RECALLS = 5.0  # error, %, below which a net recalls the symbol


@dataclass(frozen=True)
class Measured:
    """Errors in % of the dev series, by net and gap."""

    rates: Mapping[str, tuple[float, ...]]  # NETS -> (len(GAPS),)
    errors: Mapping[str, Array]  # NETS -> (seeds, len(GAPS))


def cost_and_error(name: str, gap: int, seed: int, rate: float) -> tuple[float, float]:
    net = _recall.started(name, gap, seed)
    _recall.train(net, gap, rate, UPDATES, seed)
    return _recall.cost_and_error(net, gap, seed)


def tuning_cost(name: str, gap: int, rate: float) -> float:
    return cost_and_error(name, gap, TUNING_SEED, rate)[0]


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rates: dict[str, tuple[float, ...]] = {}
    errors: dict[str, Array] = {}
    for place, name in enumerate(NETS):
        progress(place / len(NETS), f"{name}: learning rates")
        rates[name] = tuple(best_of(partial(tuning_cost, name, gap), RATES) for gap in GAPS)
        rows = []
        for done, seed in enumerate(seeds):
            progress((place + (done + 1) / (len(seeds) + 1)) / len(NETS), f"{name}: seed {done + 1} of {len(seeds)}")
            pairs = zip(GAPS, rates[name], strict=True)
            rows.append([cost_and_error(name, gap, seed, rate)[1] for gap, rate in pairs])
        errors[name] = np.array(rows)
    return Measured(rates, errors)


def judge(measured: Measured) -> tuple[Part, ...]:
    nearest, furthest = ({name: found[:, at] for name, found in measured.errors.items()} for at in (0, -1))
    gated = {"a GRU": furthest["GRU"], "an LSTM with a forget bias of 1": furthest["LSTM, bias 1"]}
    plain = {"a plain net": furthest["plain"], "a plain net with orthogonal weights": furthest["plain, orthogonal"]}
    return (
        below(f"over {GAPS[0]} steps a plain net recalls the symbol", over_seeds(nearest["plain"]), RECALLS, "%"),
        above(f"over {GAPS[-1]} steps it errs more often than over {GAPS[0]}",
              over_seeds(furthest["plain"] - nearest["plain"]), 0, "points"),
        *(above(f"over {GAPS[-1]} steps {worse} errs more often than {better}", over_seeds(found - other), 0, "points")
          for worse, found in plain.items() for better, other in gated.items()),
        below(f"attention recalls the symbol over {GAPS[-1]} steps", over_seeds(furthest["attention"]), RECALLS, "%"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    return Table(
        ("net", *(f"error over {gap} steps (best rate)" for gap in GAPS)),
        tuple(
            (name, *(f"{number(float(found[:, at].mean()))} % ({measured.rates[name][at]:g})"
                     for at in range(len(GAPS))))
            for name, found in measured.errors.items()
        ),
    )  # fmt: skip


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    axes = figure.subplots()
    for name, colour in zip(NETS, COLOURS, strict=False):
        spread(axes, np.array(GAPS), measured.errors[name], name, colour)
    axes.axhline(GUESS, linestyle=":", color="grey", linewidth=1)
    axes.set_title("error, %; dotted: a guess")
    axes.set_xlabel("steps between the symbol and the answer")
    axes.set_xscale("log", base=2)
    axes.set_xticks(GAPS, [str(gap) for gap in GAPS])
    axes.set_ylim(0, None)
    axes.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="A plain recurrent net has trouble with what lies many steps back. The gates of a GRU or LSTM keep it, and "
    "attention looks at every step directly, so that no gap is too long.",
    source="Bengio et al. 1994; Hochreiter & Schmidhuber 1997; Cho et al. 2014; Bahdanau et al. 2015; Ng, Sequence "
    "Models, weeks 1 and 3.",
    experiment=f"A series begins with one of {_recall.SYMBOLS} symbols, {', '.join(map(str, GAPS))} distractors "
    f"follow, and after the last the net says which symbol it was. Recurrent layers of {_recall.UNITS} units: plain as "
    "torch draws it, plain with orthogonal recurrent weights, GRU and LSTM with orthogonal ones, the LSTM with a "
    "forget bias of 1; and one head of attention of that width, from the last step to all, without positions. "
    f"{UPDATES} updates of Adam on {_recall.BATCH} new series each, gradients clipped at norm 1, at the best of "
    f"{len(RATES)} rates for each net and gap, by the dev cost on a seed of its own. Errors on {_recall.DEV} series "
    f"of their own; a guess errs in {GUESS:.0f} %.",
    rule=f"Recalls: an error below {RECALLS:g} %. Errs more often: the difference of errors is above 0 points. Each "
    "with the whole 95 % interval over seeds.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
