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

Members = tuple[list[Tensor], list[Tensor], dict[str, list[Tensor]], list[Tensor]]  # buffers, gradients, state, counts


class Optimiser:
    """One update rule with its regularisation terms; `step(learning_rate)` applies the current gradients.

    Decoupled weight decay shrinks the weights by learning_rate * weight_decay before the update (Loshchilov and
    Hutter 2019). The loss terms lambda/(2 m) * sum(w^2) and lambda/m * sum(|w|) enter through their gradients,
    lambda/m * w and lambda/m * sign(w), m being the number of training examples.
    """

    def __init__(
        self, parameters: FlatParameters, optimiser: OptimiserSettings, regularise: RegulariseSettings, num_train: int
    ) -> None:
        self.parameters = parameters
        self.clip_norm, self.clip_value = optimiser.clip_norm or 0.0, optimiser.clip_value
        self.l2, self.l1 = (regularise.l2 or 0.0) / num_train, regularise.l1 / num_train
        self.weight_decay = regularise.weight_decay or 0.0
        self.settings = optimiser
        slots = SLOTS[_name(optimiser)]
        self.state = [{slot: torch.zeros_like(buffer) for slot in slots} for buffer in parameters.buffers]
        self.counts = [torch.zeros((), dtype=torch.float32, device=buffer.device) for buffer in parameters.buffers]
        self.members = {rate: self._of_rate(rate) for rate in dict.fromkeys(parameters.rates)}

    def _of_rate(self, rate: float) -> Members:
        """What the buffers with this factor on the learning rate pass to one call of a kernel."""
        places = [i for i, one in enumerate(self.parameters.rates) if one == rate]
        slots = {name: [self.state[i][name] for i in places] for name in self.state[places[0]]}
        buffers = [self.parameters.buffers[i].detach() for i in places]
        return buffers, [self.parameters.gradients[i] for i in places], slots, [self.counts[i] for i in places]

    def step(self, learning_rate: float) -> None:
        with torch.no_grad():
            for buffer, _ in self.parameters.decaying:
                gradient = buffer.grad
                if self.l2 and gradient is not None:
                    gradient.add_(buffer, alpha=self.l2)
                if self.l1 and gradient is not None:
                    gradient.add_(buffer.sign(), alpha=self.l1)
            if self.clip_norm or self.clip_value:
                self.parameters.clip(norm=self.clip_norm, value=self.clip_value)
            if self.weight_decay:
                for buffer, rate in self.parameters.decaying:
                    buffer.mul_(1.0 - learning_rate * rate * self.weight_decay)
            for rate, members in self.members.items():
                self._update(learning_rate * rate, members)
        self.parameters.zero_gradients()

    def penalty(self) -> Tensor:
        """The current value of the L2 and L1 loss terms, a scalar tensor."""
        terms = [
            0.5 * self.l2 * buffer.detach().square().sum() + self.l1 * buffer.detach().abs().sum()
            for buffer, _ in self.parameters.decaying
        ]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def _update(self, learning_rate: float, members: Members) -> None:
        """torch's own kernels, fused where there is one, called without the optimizer classes.

        Those import the compiler when they are created, which costs more than a second before the first step; around
        Adam's kernel even torch's function costs 25 microseconds per step, a twentieth of one of W1. Momentum
        is torch's v = beta v + g; the notes' v = beta v + (1 - beta) g is the same path at 1/(1 - beta) times the rate.
        """
        settings, buffers, gradients, slots, counts = self.settings, *members
        match settings.name:
            case "sgd" | "momentum" | "nesterov":
                momentum = 0.0 if settings.name == "sgd" else settings.momentum
                velocities: list[Tensor | None] = list(slots.get("velocity", [None] * len(buffers)))
                sgd(
                    buffers, gradients, velocities, fused=True, lr=learning_rate, momentum=momentum, dampening=0.0,
                    weight_decay=0.0, nesterov=settings.name == "nesterov", maximize=False,
                )  # fmt: skip
            case "rmsprop":
                rmsprop(
                    buffers, gradients, slots["square_average"], [], [], counts, foreach=True, lr=learning_rate,
                    alpha=settings.beta2, eps=settings.epsilon, weight_decay=0.0, momentum=0.0, centered=False,
                )  # fmt: skip
            case _:
                torch._foreach_add_(counts, 1.0)
                torch._fused_adam_(
                    buffers, gradients, slots["average"], slots["square_average"], [], counts,
                    amsgrad=False, lr=learning_rate, beta1=settings.momentum, beta2=settings.beta2,
                    eps=settings.epsilon, weight_decay=0.0, maximize=False,
                )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """The rule's state, named "0.average", "0.step" and so on."""
        slots = {f"{i}.{name}": value for i, state in enumerate(self.state) for name, value in state.items()}
        return slots | {f"{i}.step": count for i, count in enumerate(self.counts)}

    def load(self, tensors: Mapping[str, Tensor], where: str = "optimizer.safetensors") -> None:
        """Restore what `tensors` gave. Raises ArtefactError naming the file `where` if it does not fit."""
        own = self.tensors()
        if own.keys() != tensors.keys() or any(own[name].shape != tensors[name].shape for name in own):
            raise ArtefactError(
                "the state does not fit this optimiser.",
                where=where,
                fix="resume with the settings and the version of gnomon the run was started with.",
            )
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


SLOTS: Mapping[str, tuple[str, ...]] = {  # what each rule remembers, one tensor as long as the parameters for each name
    "sgd": (),
    "momentum": ("velocity",),
    "nesterov": ("velocity",),
    "rmsprop": ("square_average",),
    "adam": ("average", "square_average"),
    "adamw": ("average", "square_average"),
}


def _name(settings: OptimiserSettings) -> str:
    if settings.name is None:
        raise ValueError("the optimiser's name is not set yet; fill in the settings first")
    return settings.name
