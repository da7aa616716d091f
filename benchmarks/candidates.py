"""Update rules and schedules that gnomon does not have: what its defaults are measured against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from gnomon.core.settings import ScheduleSettings
from gnomon.training import loop
from gnomon.training.flat import FlatParameters
from gnomon.training.state import TrainingState
from gnomon.workflow import trial

WARMUP = 0.05  # share of all steps, as gnomon's cosine has it
COOLING = 0.3  # share of all steps in which "wsd" falls
Share = Callable[[float], float]  # of the highest rate, by the share of the steps that is done


def linear(done: float) -> float:
    """Up, then down to 0 in a straight line. Source: Defazio et al. 2023, "Optimal linear decay"."""
    return min(1.0, done / WARMUP, (1 - done) / (1 - WARMUP))


def wsd(done: float) -> float:
    """Up, constant, and down as 1 - sqrt. Source: Hägele et al. 2024, section 3."""
    cooled = max(0.0, done - (1 - COOLING)) / COOLING
    return min(1.0, done / WARMUP) * (1 - math.sqrt(min(1.0, cooled)))


def rising(done: float) -> float:
    """Up, then constant."""
    return min(1.0, done / WARMUP)


class Rule:
    """What the loop asks of an optimiser."""

    weight_decay = 0.0  # set by the loop where somebody turns it

    def __init__(self, parameters: FlatParameters, update: Callable[[float], None]) -> None:
        self.parameters, self.update = parameters, update

    def step(self, learning_rate: float) -> None:
        with torch.no_grad():
            self.update(learning_rate)
        self.parameters.zero_gradients()


@dataclass(frozen=True)
class Facts:
    """What a rule is made from."""

    model: nn.Module
    parameters: FlatParameters
    beta1: float
    beta2: float
    epsilon: float
    decay: float

    def groups(self) -> list[tuple[nn.Parameter, float]]:
        """The flat buffers, each with its weight decay."""
        buffers = ((self.parameters.weights, self.decay), (self.parameters.others, 0.0))
        return [(buffer, decay) for buffer, decay in buffers if buffer.numel()]


def torchs(kind: Any) -> Callable[[Facts], Rule]:
    """A rule of torch.optim with decoupled weight decay."""

    def make(facts: Facts) -> Rule:
        groups = [{"params": [buffer], "weight_decay": decay} for buffer, decay in facts.groups()]
        inner = kind(
            groups, lr=1.0, betas=(facts.beta1, facts.beta2), eps=facts.epsilon, decoupled_weight_decay=True,
            foreach=False,
        )  # fmt: skip
        return Rule(facts.parameters, _stepped(inner))

    return make


def _stepped(*inner: torch.optim.Optimizer) -> Callable[[float], None]:
    def update(rate: float) -> None:
        for one in inner:
            for group in one.param_groups:
                group["lr"] = rate
            one.step()

    return update


def lion(facts: Facts) -> Rule:
    """Source: Chen et al. 2023, algorithm 2, beta 0.9 and 0.99."""
    state = [(buffer, decay, torch.zeros_like(buffer)) for buffer, decay in facts.groups()]

    def update(rate: float) -> None:
        for buffer, decay, average in state:
            gradient = buffer.grad
            assert gradient is not None
            direction = torch.lerp(gradient, average, 0.9).sign_()
            buffer.mul_(1 - rate * decay).sub_(direction, alpha=rate)
            average.lerp_(gradient, 0.01)

    return Rule(facts.parameters, update)


def muon(facts: Facts) -> Rule:
    """Hidden matrices and kernels by torch's Muon, scaled to AdamW's steps; head, embeddings and the rest by AdamW.

    Source: Jordan et al. 2024; the scale: Liu et al. 2025, "Muon is scalable for LLM training", equation 4.
    """
    head = {id(one) for one in facts.model.get_submodule("head").parameters()}
    embedded = {id(module.weight) for module in facts.model.modules() if isinstance(module, nn.Embedding)}
    hidden, others, plain = [], [], []
    for parameter in facts.model.parameters():
        if parameter.dim() < 2:
            plain.append(parameter)
        elif id(parameter) in head | embedded:
            others.append(parameter)
        else:
            hidden.append(_as_matrix(parameter))
    rest = [{"params": others, "weight_decay": facts.decay}, {"params": plain, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(rest, betas=(facts.beta1, facts.beta2), eps=facts.epsilon)
    by_muon = [torch.optim.Muon(hidden, weight_decay=facts.decay, adjust_lr_fn="match_rms_adamw")] if hidden else []
    return Rule(facts.parameters, _stepped(adamw, *by_muon))


def _as_matrix(parameter: nn.Parameter) -> nn.Parameter:
    """(outputs, inputs) on the same memory, gradient too."""
    gradient = parameter.grad
    assert gradient is not None

    def flat(tensor: Tensor) -> Tensor:
        is_last = tensor.dim() == 4 and not tensor.is_contiguous()  # channels last
        return (tensor.permute(0, 2, 3, 1) if is_last else tensor).view(len(tensor), -1)

    matrix = nn.Parameter(flat(parameter.detach()))
    matrix.grad = flat(gradient)
    return matrix


class ScheduleFree(Rule):
    """AdamW without a schedule: gradients at y, steps of z, judged at their average x, which `average` holds.

    Source: Defazio et al. 2024, algorithm 1, with weights lr^2 as in the authors' code.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts.parameters, self._move)
        self.facts = facts
        self.average = facts.parameters.copies()
        self.z = facts.parameters.copies()
        self.squares = [torch.zeros_like(one) for one in self.z]
        self.count, self.weight = 0, 0.0

    def _move(self, rate: float) -> None:
        facts = self.facts
        self.count += 1
        self.weight += rate**2
        share = rate**2 / self.weight if self.weight else 1.0
        for (y, decay), z, x, square in zip(facts.groups(), self.z, self.average, self.squares, strict=True):
            assert y.grad is not None
            square.mul_(facts.beta2).addcmul_(y.grad, y.grad, value=1 - facts.beta2)
            root = (square / (1 - facts.beta2**self.count)).sqrt_().add_(facts.epsilon)
            z.addcdiv_(y.grad, root, value=-rate).sub_(y.detach(), alpha=rate * decay)
            x.lerp_(z, share)
            y.copy_(torch.lerp(z, x, facts.beta1))


@dataclass(frozen=True)
class Candidate:
    """A rule and a schedule; `settings` are gnomon's own, where it has what is needed."""

    name: str
    factors: tuple[float, ...]  # of the default's learning rate that are tried
    settings: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[Facts], Rule] | None = None
    share: Share | None = None
    decay_by_rate: bool = False  # keep rate x weight decay as the default has it


USUAL = (0.5, 1.0, 2.0)
CANDIDATES = (
    Candidate("adamw, cosine", USUAL),  # the default
    Candidate("adamw, beta2 0.99", USUAL, {"optimiser.beta2": 0.99}),
    Candidate("adamw, one-cycle", (1.0, 2.0, 4.0), {"schedule.name": "one-cycle"}),
    Candidate("adamw, linear to 0", USUAL, share=linear),
    Candidate("adamw, wsd", USUAL, share=wsd),
    Candidate("adamw, constant, ema", USUAL, {"schedule.name": "constant", "regularise.ema": 0.99}, share=rising),
    Candidate("nadam, cosine", USUAL, make=torchs(torch.optim.NAdam)),
    Candidate("radam, cosine", USUAL, make=torchs(torch.optim.RAdam)),
    Candidate("lion, cosine", (0.05, 0.1, 0.2), make=lion, decay_by_rate=True),
    Candidate("muon, cosine", USUAL, make=muon),
    Candidate("schedule-free adamw", (1.0, 2.0, 4.0), {"regularise.ema": 0.5}, make=ScheduleFree, share=rising),
)


@contextmanager
def in_place_of_the_default(candidate: Candidate) -> Iterator[None]:
    """The loop trains with the candidate's rule and schedule."""
    rate_of, moved, built = loop.learning_rate_at, loop._move_average, loop.build_state

    def rate(step: int, *, highest: float, settings: ScheduleSettings, steps_per_epoch: int, epochs: int) -> float:
        if candidate.share is None:
            return rate_of(step, highest=highest, settings=settings, steps_per_epoch=steps_per_epoch, epochs=epochs)
        return highest * candidate.share((step + 0.5) / (steps_per_epoch * epochs))

    def move(state: TrainingState, decay: float) -> None:
        if not isinstance(state.optimiser, ScheduleFree):
            moved(state, decay)

    def build(job: loop.Job, model: nn.Module) -> TrainingState:
        state, own = built(job, model), job.settings.optimiser
        if candidate.make is not None:
            decay = job.settings.regularise.weight_decay or 0.0
            facts = Facts(model, state.parameters, own.momentum, own.beta2, own.epsilon, decay)
            state.optimiser = candidate.make(facts)  # type: ignore[assignment]
            if isinstance(state.optimiser, ScheduleFree):
                state.average = state.optimiser.average
        return state

    with (
        patch.object(loop, "learning_rate_at", rate),
        patch.object(loop, "_move_average", move),
        patch.object(trial, "build_state", build),
    ):
        yield
