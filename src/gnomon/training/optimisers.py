"""Update rules over flat parameters: sgd, momentum, Nesterov, RMSprop, Adam, AdamW, with decay on weights only."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from gnomon.core.errors import ArtefactError
from gnomon.core.settings import OptimiserSettings, RegulariseSettings
from gnomon.training.flat import FlatParameters


class Optimiser:
    """One update rule with its regularisation terms; `step(learning_rate)` applies the gradients that are there.

    Decoupled weight decay shrinks the weights by learning_rate * weight_decay before the update (Loshchilov and
    Hutter 2019). The loss terms lambda/(2 m) * sum(w^2) and lambda/m * sum(|w|) enter through their gradients,
    lambda/m * w and lambda/m * sign(w), m being the number of training examples.
    """

    def __init__(
        self, parameters: FlatParameters, optimiser: OptimiserSettings, regularise: RegulariseSettings, num_train: int
    ) -> None:
        self.parameters = parameters
        self.clip_norm, self.clip_value = optimiser.clip_norm, optimiser.clip_value
        self.l2, self.l1 = regularise.l2 / num_train, regularise.l1 / num_train
        self.weight_decay = regularise.weight_decay or 0.0
        self.settings = optimiser
        slots = SLOTS[_name(optimiser)]
        self.state = [{slot: torch.zeros_like(buffer) for slot in slots} for buffer in parameters.buffers]
        self.buffers = [buffer.detach() for buffer in parameters.buffers]
        self.counts = [torch.zeros((), dtype=torch.float32, device=buffer.device) for buffer in parameters.buffers]

    def step(self, learning_rate: float) -> None:
        weights = self.parameters.weights
        with torch.no_grad():
            if self.l2 and weights.grad is not None:
                weights.grad.add_(weights, alpha=self.l2)
            if self.l1 and weights.grad is not None:
                weights.grad.add_(weights.sign(), alpha=self.l1)
            if self.clip_norm or self.clip_value:
                self.parameters.clip(norm=self.clip_norm, value=self.clip_value)
            if self.weight_decay:
                weights.mul_(1.0 - learning_rate * self.weight_decay)
            self._update(learning_rate)
        self.parameters.zero_gradients()

    def penalty(self) -> Tensor:
        """The value of the L2 and L1 loss terms now, a scalar tensor."""
        weights = self.parameters.weights.detach()
        return 0.5 * self.l2 * weights.square().sum() + self.l1 * weights.abs().sum()

    def _update(self, learning_rate: float) -> None:
        """torch's own kernels, fused where there is one, called without the optimizer classes.

        Those import the compiler when they are made, which costs more than a second before the first step; around
        Adam's kernel even torch's function costs 25 microseconds a step, a twentieth of one of W1. Momentum
        is torch's v = beta v + g; the notes' v = beta v + (1 - beta) g is the same path at 1/(1 - beta) times the rate.
        """
        settings, buffers, gradients = self.settings, self.buffers, self.parameters.gradients
        match settings.name:
            case "sgd" | "momentum" | "nesterov":
                momentum = 0.0 if settings.name == "sgd" else settings.momentum
                velocities: list[Tensor | None] = [state.get("velocity") for state in self.state]
                sgd(
                    buffers, gradients, velocities, fused=True, lr=learning_rate, momentum=momentum, dampening=0.0,
                    weight_decay=0.0, nesterov=settings.name == "nesterov", maximize=False,
                )  # fmt: skip
            case "rmsprop":
                rmsprop(
                    buffers, gradients, self._slot("square_average"), [], [], self.counts, foreach=True,
                    lr=learning_rate, alpha=settings.beta2, eps=settings.epsilon, weight_decay=0.0, momentum=0.0,
                    centered=False,
                )  # fmt: skip
            case _:
                torch._foreach_add_(self.counts, 1.0)
                torch._fused_adam_(
                    buffers, gradients, self._slot("average"), self._slot("square_average"), [], self.counts,
                    amsgrad=False, lr=learning_rate, beta1=settings.momentum, beta2=settings.beta2,
                    eps=settings.epsilon, weight_decay=0.0, maximize=False,
                )  # fmt: skip

    def _slot(self, name: str) -> list[Tensor]:
        return [state[name] for state in self.state]

    def tensors(self) -> dict[str, Tensor]:
        """The rule's state, named "0.average", "0.step" and so on."""
        slots = {f"{i}.{name}": value for i, state in enumerate(self.state) for name, value in state.items()}
        return slots | {f"{i}.step": count for i, count in enumerate(self.counts)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave. Raises ArtefactError where it does not fit."""
        own = self.tensors()
        if own.keys() != tensors.keys() or any(own[name].shape != tensors[name].shape for name in own):
            raise ArtefactError(
                "the state does not fit this optimiser.",
                where="optimizer.safetensors",
                fix="resume with the settings and the version of gnomon the run was started with.",
            )
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


SLOTS: Mapping[str, tuple[str, ...]] = {  # what each rule remembers, a tensor as long as the parameters each
    "sgd": (),
    "momentum": ("velocity",),
    "nesterov": ("velocity",),
    "rmsprop": ("square_average",),
    "adam": ("average", "square_average"),
    "adamw": ("average", "square_average"),
}


def _name(settings: OptimiserSettings) -> str:
    if settings.name is None:
        raise ValueError("the optimiser's name is still open; fill the settings first")
    return settings.name
