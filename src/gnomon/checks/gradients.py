"""Gradient checking: backpropagation compared with two-sided differences of the loss, parameter by parameter."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.errors import DivergedError, UsageError
from gnomon.core.seeds import derive, generator

Verdict = Literal["right", "probably right", "look again", "wrong", "flat", "at a kink"]

RIGHT, PROBABLY_RIGHT, LOOK_AGAIN = 1e-7, 1e-5, 1e-3  # upper ends of the ratio for each verdict; above them: wrong

STEPS = (1, 10, 100)  # times epsilon: longer steps for when rounding drowns the smallest one
DRAWS = 5  # at most this many times the wanted coordinates are drawn, if some are at a kink
ROUNDING = 100 * 2.0**-52  # error of a loss relative to its size, after some hundred operations in float64
MOVE = 1e-3  # how far a parameter whose every coordinate is at a kink is moved before the check

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GradientRow:
    """The result for one parameter.

    `ratio` is ||a - b|| / (||a|| + ||b||), a from differences and b from backpropagation, over `compared` coordinates
    drawn at random; 0 if both are 0. Verdicts: below 1e-7 right, below 1e-5 probably right, below 1e-3 look again (or
    probably right, where rounding of the loss explains it), otherwise wrong; flat if both are 0 in float64; at a kink
    if nothing could be compared.
    """

    name: str
    shape: tuple[int, ...]
    ratio: float
    verdict: Verdict
    compared: int
    skipped: int  # coordinates left out because the loss has a kink (ReLU, max pooling) within epsilon of them
    is_reached: bool  # backpropagation gave a gradient at all
    is_moved: bool  # every coordinate was at a kink, so it was checked at values about 1e-3 away


@dataclass(frozen=True, slots=True)
class GradientReport:
    """One row per named parameter that requires a gradient, in the order of `named_parameters`."""

    rows: tuple[GradientRow, ...]

    @property
    def faults(self) -> tuple[GradientRow, ...]:
        """Rows whose gradient is wrong or needs a second look."""
        return tuple(row for row in self.rows if row.verdict in ("look again", "wrong"))

    @property
    def passed(self) -> bool:
        return not self.faults

    @property
    def text(self) -> str:
        """A sentence that names the faulty parameters, then one line per parameter."""
        width = max(len(row.name) for row in self.rows)
        return "\n".join([_sentence(self), *(_line(row, width) for row in self.rows)])


def check_gradients(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    *,
    epsilon: float = 1e-7,
    coordinates_per_parameter: int = 20,
    only: Collection[str] | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check the gradient of `loss(model)` for every parameter, on a float64 copy: the model itself is not touched.

    `loss` must use the model it is given, return one number, and contain everything that is minimised, including the
    regulariser. Dropout layers are switched off; other layers stay in their mode, and buffers (running averages) are
    restored before every evaluation; torch's global generator gives the same numbers at every evaluation. `only`: names
    of the parameters to check, where all would take too long.
    Floating-point tensors passed to a module are cast to float64. Costs 2 to 6 forward passes per coordinate.

    A two-sided difference across a kink of the loss says nothing about the gradient. Such a coordinate is recognised
    by one-sided differences that disagree by as much as the error; another coordinate is drawn instead.

    Raises UsageError if the loss is not one float64 number, changes between two evaluations, or depends on no
    parameter; DivergedError if it is not finite. Source: Ng, Improving Deep Neural Networks, week 1, Gradient checking.
    """
    twin = _float64_copy(model)
    named = {name: p for name, p in twin.named_parameters() if p.requires_grad and p.numel()}
    named = {name: p for name, p in named.items() if only is None or name in only}
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        look = _Look(twin, loss, derive(seed, "check gradients"))
        look.refuse_chance()
        rows = []
        gradients = look.gradients(list(named.values()))
        for (name, parameter), gradient in zip(named.items(), gradients, strict=True):
            rng = generator(seed, "check gradients", name)
            rows.append(_check(look, name, parameter, gradient, epsilon, coordinates_per_parameter, rng))
    if all(row.verdict == "flat" for row in rows):
        raise UsageError(
            "the loss depends on no parameter of the model that requires a gradient.",
            fix="compute the loss from the model that is passed to the loss function.",
        )
    return GradientReport(tuple(rows))


class _Look:
    """The loss of the copied model: with the same parameters, the same number every time."""

    def __init__(self, model: nn.Module, loss: Callable[[nn.Module], Tensor], seed: int) -> None:
        self.model, self.loss, self.seed = model, loss, seed
        self.buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def tensor(self) -> Tensor:
        with torch.no_grad():
            for name, buffer in self.model.named_buffers():
                buffer.copy_(self.buffers[name])
        torch.manual_seed(self.seed)
        value = self.loss(self.model)
        if value.numel() != 1 or value.dtype != torch.float64:
            raise UsageError(
                f"the loss must be one number in float64, got shape {tuple(value.shape)} in {value.dtype}.",
                fix="return a scalar, and cast everything the loss itself uses to float64 (targets.double()).",
            )
        if not math.isfinite(value.item()):
            raise DivergedError(
                f"the loss is {value.item()}; checking gradients needs a finite one.",
                fix="check the inputs and the initial weights.",
            )
        return value.reshape(())

    def value(self) -> float:
        return self.tensor().item()

    def gradients(self, parameters: list[nn.Parameter]) -> list[Tensor | None]:
        """The gradients from backpropagation; None where it does not reach."""
        value = self.tensor()
        if not value.requires_grad:
            return [None] * len(parameters)
        return list(torch.autograd.grad(value, parameters, allow_unused=True))

    def refuse_chance(self) -> None:
        first, second = self.value(), self.value()
        if abs(first - second) > 1e-10 * abs(first):
            raise UsageError(
                f"the loss changes between two evaluations: {first!r}, then {second!r}.",
                fix="draw random numbers once, outside the loss function.",
            )


def _check(
    look: _Look,
    name: str,
    parameter: nn.Parameter,
    gradient: Tensor | None,
    epsilon: float,
    wanted: int,
    rng: np.random.Generator,
) -> GradientRow:
    before = parameter.detach().clone()
    is_reached = gradient is not None
    places, skipped = _smooth_places(look, parameter, gradient, epsilon, wanted, rng)
    is_moved = not places
    if is_moved:
        with torch.no_grad():
            parameter.add_(torch.from_numpy(rng.standard_normal(before.shape)).to(before), alpha=MOVE)
        (gradient,) = look.gradients([parameter])
        places, more = _smooth_places(look, parameter, gradient, epsilon, wanted, rng)
        skipped += more
    ratio, verdict = _judge(look, parameter, gradient, places, epsilon)
    with torch.no_grad():
        parameter.copy_(before)
    return GradientRow(name, tuple(before.shape), ratio, verdict, len(places), skipped, is_reached, is_moved)


def _smooth_places(
    look: _Look,
    parameter: nn.Parameter,
    gradient: Tensor | None,
    epsilon: float,
    wanted: int,
    rng: np.random.Generator,
) -> tuple[dict[Place, float], int]:
    """`wanted` coordinates drawn at random (all of a small parameter) with their two-sided differences.

    Coordinates at a kink are skipped; the second value counts them.
    """
    loss, size = look.value(), parameter.numel()
    places: dict[Place, float] = {}
    skipped = 0
    for position in rng.choice(size, size=min(size, DRAWS * wanted), replace=False):
        if len(places) == wanted:
            break
        place = tuple(int(i) for i in np.unravel_index(position, parameter.shape))
        above, below, slope = _slopes(look, parameter, place, epsilon, loss)
        b = _entry(gradient, place)
        error = abs(slope - b)
        is_off = error > max(RIGHT * (abs(slope) + abs(b)), ROUNDING * abs(loss) / epsilon)
        if is_off and abs(above - below) >= error:
            skipped += 1
        else:
            places[place] = slope
    return places, skipped


def _slopes(look: _Look, parameter: nn.Parameter, place: Place, step: float, loss: float) -> tuple[float, float, float]:
    """Differences of the loss per change of one coordinate: forward, backward, two-sided."""
    here = parameter[place].item()
    up, down = here + step, here - step  # rounded: divide by the distances that float64 actually moved
    with torch.no_grad():
        parameter[place] = up
    higher = look.value()
    with torch.no_grad():
        parameter[place] = down
    lower = look.value()
    with torch.no_grad():
        parameter[place] = here
    return (higher - loss) / (up - here), (loss - lower) / (here - down), (higher - lower) / (up - down)


def _judge(
    look: _Look, parameter: nn.Parameter, gradient: Tensor | None, places: Mapping[Place, float], epsilon: float
) -> tuple[float, Verdict]:
    """The smallest ratio over the steps, and its verdict.

    A right gradient agrees at some step and a wrong one at none: taking the minimum forgives only rounding.
    """
    if not places:
        return 0.0, "at a kink"
    loss = look.value()
    a, b = np.array(list(places.values())), np.array([_entry(gradient, place) for place in places])
    ratios, is_rounding = [], False
    for factor in STEPS:
        step = factor * epsilon
        if factor > 1:
            a = np.array([_slopes(look, parameter, place, step, loss)[2] for place in places])
        size = float(np.linalg.norm(a) + np.linalg.norm(b))
        error = float(np.linalg.norm(a - b))
        is_rounding |= error <= math.sqrt(len(places)) * ROUNDING * abs(loss) / step
        ratios.append(error / size if size else 0.0)
        if ratios[-1] < RIGHT and size:
            return ratios[-1], "right"
    if size <= math.sqrt(len(places)) * ROUNDING * abs(loss) / step:
        return 0.0, "flat"
    least = min(ratios)
    if least < PROBABLY_RIGHT or (least < LOOK_AGAIN and is_rounding):
        return least, "probably right"
    return least, "look again" if least < LOOK_AGAIN else "wrong"


def _entry(gradient: Tensor | None, place: Place) -> float:
    return 0.0 if gradient is None else gradient[place].item()


def _float64_copy(model: nn.Module) -> nn.Module:
    """The model in float64, with dropout off, accepting inputs of any floating-point type."""
    twin = copy.deepcopy(model).double()
    for module in twin.modules():
        module.register_forward_pre_hook(_cast_inputs, with_kwargs=True)
        if isinstance(module, DROPOUT):
            module.eval()
    return twin


def _cast_inputs(_: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
    return _in_float64(args), _in_float64(kwargs)


def _in_float64(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if type(value) in (tuple, list):
        return type(value)(_in_float64(item) for item in value)
    if type(value) is dict:
        return {key: _in_float64(item) for key, item in value.items()}
    return value


def _sentence(report: GradientReport) -> str:
    compared = sum(row.compared for row in report.rows)
    if report.passed:
        return f"gradients agree: {len(report.rows)} parameters, {compared} coordinates compared"
    wrong = [row.name for row in report.faults if row.verdict == "wrong"]
    doubtful = [row.name for row in report.faults if row.verdict == "look again"]
    parts = [f"the gradient is wrong for {', '.join(wrong)}"] if wrong else []
    parts += [f"look again at {', '.join(doubtful)}"] if doubtful else []
    detached = [row.name for row in report.faults if not row.is_reached]
    parts += [f"backpropagation does not reach {', '.join(detached)}, but the loss depends on it"] if detached else []
    last = max(i for i, row in enumerate(report.rows) if row in report.faults)
    if 0 < last + 1 == len(report.faults) < len(report.rows):
        parts.append(f"all from {report.rows[last + 1].name} on agree, so look right behind {report.rows[last].name}")
    return "; ".join(parts)


def _line(row: GradientRow, width: int) -> str:
    line = f"  {row.name:<{width}}  {row.ratio:8.1e}  {row.verdict:<14}  {row.compared} of {math.prod(row.shape)}"
    notes = [f"{row.skipped} skipped at a kink"] if row.skipped else []
    notes += ["moved off a kink by 1e-3"] if row.is_moved else []
    notes += ["receives no gradient"] if not row.is_reached else []
    return "   ".join([line, *notes])
