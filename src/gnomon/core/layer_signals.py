"""Activations, gradients and updates of a net's layers during training, and what is wrong with them, in words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Trouble = Literal["vanishing", "exploding", "dead", "saturated", "rate too high", "rate too low"]

BACKBONE = "backbone."  # what the names of its layers begin with, in a composed net
FADED = 1e-3  # activations that have shrunk to this share of an earlier layer's carry no information
GROWN = 1e3  # activations that have grown by this factor
GRADIENT_SPREAD = (
    500.0  # between a layer's gradient and the last ones': healthy first models stay below 80 (docs/log.md)
)
MOST_DEAD = 0.75  # of a layer's units; in the last of fifty healthy ReLU layers half of them are 0 for all examples
MOST_SATURATED = 0.5  # of a layer's outputs
UPDATE_TOO_LARGE = 0.3  # per step, relative to the weights, at the peak rate
UPDATE_LARGE, STILL_LEFT = 0.05, 0.5  # this much is too large while this share of the first loss remains
UPDATE_TOO_SMALL = 1e-6
UPDATE_SMALL, HARDLY_FELL = 1e-5, 0.95  # this little is too small while this share of the first loss remains


@dataclass(frozen=True, slots=True)
class LayerSignal:
    """One layer with weights, on one fixed batch. None: not applicable to this layer."""

    layer: str
    mean: float  # of its activations: the outputs of its activation function, or its own if it has none
    std: float
    gradient: float  # Euclidean norm of the loss's gradient with respect to its weights
    update_ratio: float  # norm of the weights' next update / norm of the weights
    dead: float | None = None  # share of its ReLU units that are 0 for every example
    saturated: float | None = None  # share of its tanh or sigmoid outputs where the slope is below 6 % of its maximum


@dataclass(frozen=True, slots=True)
class SignalFinding:
    """One problem, where it is, and what helps."""

    trouble: Trouble
    layers: tuple[str, ...]  # in the order of the net; empty if it does not concern single layers
    text: str


def as_rows(signals: Sequence[LayerSignal]) -> list[dict[str, Any]]:
    """Plain values with four digits, as a row of the history stores them."""
    return [
        {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in asdict(signal).items()}
        for signal in signals
    ]


def from_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[LayerSignal, ...]:
    """The inverse of `as_rows`."""
    return tuple(LayerSignal(**row) for row in rows)


def findings_of(history: Sequence[Mapping[str, Any]], *, highest_rate: float) -> tuple[SignalFinding, ...]:
    """What is wrong in the latest measurement in the history. `highest_rate` is the peak learning rate.

    A schedule lowers the updates on purpose: they are scaled to the peak rate.
    """
    measured = [row for row in history if row.get("signals")]
    if not measured:
        return ()
    first, row = measured[0], measured[-1]
    left = row["train_loss"] / first["train_loss"] if len(measured) > 1 and first["train_loss"] > 0 else None
    share = row["learning_rate"] / highest_rate if highest_rate else 1.0
    return findings(from_rows(row["signals"]), rate_share=share, loss_left=left)


def findings(
    signals: Sequence[LayerSignal], *, rate_share: float = 1.0, loss_left: float | None = None
) -> tuple[SignalFinding, ...]:
    """What is wrong, most important first; nothing for a healthy net. Layers in the order in which data passes them.

    `rate_share`: the learning rate of the update ratios relative to its peak. `loss_left`: the training loss
    relative to an earlier measurement, None at the first. In a net that is composed of a backbone and branches beside
    one another, only the backbone is a chain, along which spreads and gradients can be compared.
    """
    updates = _updates(signals, rate_share, loss_left)
    chain = [signal for signal in signals if signal.layer.startswith(BACKBONE)] or signals
    found = [*_activations(chain), *_gradients(chain), *_units(signals), *updates]
    seen: dict[str, SignalFinding] = {}
    for finding in found:
        seen.setdefault(finding.trouble, finding)
    return tuple(seen.values())


def _activations(signals: Sequence[LayerSignal]) -> list[SignalFinding]:
    """A spread that shrinks or grows from layer to layer. The last layer, which answers, has its own scale."""
    inner = signals[:-1]
    faded, grown = [], []
    largest = 0.0
    for signal in inner:
        if not math.isfinite(signal.std) or signal.std > GROWN * max(inner[0].std, 1e-6):
            grown.append(signal)
        elif signal.std < FADED * largest:
            faded.append(signal)
        largest = max(largest, signal.std)
    found = []
    if grown:
        text = f"activations explode: their spread is {_short(grown[-1].std)} in {grown[-1].layer}"
        found.append(_finding("exploding", grown, f"{text} and {_short(inner[0].std)} in {inner[0].layer}", SMALLER))
    if faded:
        worst = min(faded, key=lambda signal: signal.std)
        text = f"activations vanish: their spread is {_short(worst.std)} in {worst.layer}"
        found.append(_finding("vanishing", faded, f"{text} and {_short(inner[0].std)} in {inner[0].layer}", LARGER))
    return found


def _gradients(signals: Sequence[LayerSignal]) -> list[SignalFinding]:
    """Gradients that shrink or grow on their way back through the layers."""
    if any(not math.isfinite(signal.gradient) for signal in signals):
        wrong = [signal for signal in signals if not math.isfinite(signal.gradient)]
        return [_finding("exploding", wrong, "gradients explode: they are not finite", SMALLER)]
    alive = [signal for signal in signals if signal.dead is None or signal.dead < 1.0]
    if len(alive) < 2:
        return []
    last = statistics.median(signal.gradient for signal in alive[-3:])
    tiny = [signal for signal in alive if signal.gradient < last / GRADIENT_SPREAD]
    huge = [signal for signal in alive if signal.gradient > last * GRADIENT_SPREAD]
    found = []
    if huge:
        text = f"gradients explode on their way back: {_short(huge[0].gradient)} in {huge[0].layer}"
        found.append(_finding("exploding", huge, f"{text}, {_short(last)} in the last layers", SMALLER))
    if tiny or last == 0.0:
        worst = tiny or list(alive)
        text = f"gradients vanish on their way back: {_short(worst[0].gradient)} in {worst[0].layer}"
        found.append(_finding("vanishing", worst, f"{text}, {_short(last)} in the last layers", LARGER))
    return found


def _units(signals: Sequence[LayerSignal]) -> list[SignalFinding]:
    dead = [signal for signal in signals if signal.dead is not None and signal.dead > MOST_DEAD]
    saturated = [signal for signal in signals if signal.saturated is not None and signal.saturated > MOST_SATURATED]
    found = []
    if dead:
        worst = max(dead, key=lambda signal: signal.dead or 0.0)
        text = f"{100 * (worst.dead or 0.0):.0f} % of the units of {worst.layer} are dead: 0 for every example"
        fix = "a lower learning rate, activation=leaky_relu, or normalisation=batch"
        found.append(_finding("dead", dead, text, fix))
    if saturated:
        worst = max(saturated, key=lambda signal: signal.saturated or 0.0)
        text = f"{100 * (worst.saturated or 0.0):.0f} % of the outputs of {worst.layer} are saturated: hardly any slope"
        found.append(_finding("saturated", saturated, text, "smaller starting weights, normalisation=batch, or relu"))
    return found


def _updates(signals: Sequence[LayerSignal], rate_share: float, loss_left: float | None) -> list[SignalFinding]:
    """Steps that are large or small relative to the weights they change, in most layers.

    Plain descent takes tiny steps once everything is learned, and large ones through weights that a norm rescales:
    except in the extreme, the loss must not have fallen either.
    """
    if len(signals) == 1 and loss_left is None:  # one layer is drawn near zero: the first steps are all of its size
        return []
    ratios = [signal.update_ratio / rate_share for signal in signals if rate_share > 0]
    ratios = [ratio for ratio in ratios if math.isfinite(ratio) and ratio > 0]
    if not ratios:
        return []
    middle = statistics.median(ratios)
    about = f"a step at the peak rate changes weights by {_percent(middle)} of their size (about 0.1 % is usual)"
    left = loss_left if loss_left is not None else 0.0  # at the first measurement the loss cannot be compared
    if middle > UPDATE_TOO_LARGE or (middle > UPDATE_LARGE and left > STILL_LEFT):
        return [SignalFinding("rate too high", (), f"the learning rate is too high: {about}; try a tenth of it")]
    hardly_fell = loss_left is None or loss_left > HARDLY_FELL
    if (middle < UPDATE_TOO_SMALL and hardly_fell) or (middle < UPDATE_SMALL and left > HARDLY_FELL):
        return [
            SignalFinding("rate too low", (), f"the learning rate is too low: {about}; gnomon lr finds a better one")
        ]
    return []


SMALLER = "smaller starting weights (init=xavier or he, init.scale=1), normalisation=batch, or clip_norm=1"
LARGER = "larger starting weights (init=xavier or he, init.scale=1), normalisation=batch, relu, or fewer layers"


def _finding(trouble: Trouble, signals: Sequence[LayerSignal], what: str, fix: str) -> SignalFinding:
    names = tuple(signal.layer for signal in signals)
    others = f" ({len(names)} layers, {names[0]} to {names[-1]})" if len(names) > 1 else ""
    return SignalFinding(trouble, names, f"{what}{others}. What helps: {fix}")


def _short(value: float) -> str:
    return f"{value:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
