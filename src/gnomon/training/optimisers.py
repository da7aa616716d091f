"""Update rules over flat parameters: sgd, momentum, RMSprop, Adam, AdamW, with decay on weights only."""

from __future__ import annotations

import torch
from torch import Tensor

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
        self.rule = build_rule(parameters, optimiser)

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
        for group in self.rule.param_groups:
            group["lr"] = learning_rate
        self.rule.step()
        self.parameters.zero_gradients()

    def penalty(self) -> Tensor:
        """The value of the L2 and L1 loss terms now, a scalar tensor."""
        weights = self.parameters.weights.detach()
        return 0.5 * self.l2 * weights.square().sum() + self.l1 * weights.abs().sum()

    def tensors(self) -> dict[str, Tensor]:
        """The rule's state, named "0.exp_avg" and so on; empty before the first step."""
        state = self.rule.state_dict()["state"]
        return {
            f"{i}.{name}": value for i, slots in state.items() for name, value in slots.items() if value is not None
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        whole = self.rule.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            position, _, slot = name.partition(".")
            state.setdefault(int(position), {})[slot] = value
        self.rule.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


def build_rule(parameters: FlatParameters, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """torch's own rule; fused where torch has a fused kernel.

    Momentum is torch's v = beta v + g; the notes' v = beta v + (1 - beta) g is the same path at a learning rate
    1/(1 - beta) times as high.
    """
    buffers = parameters.buffers
    match settings.name:
        case "sgd":
            return torch.optim.SGD(buffers, lr=0.0, fused=True)
        case "momentum":
            return torch.optim.SGD(buffers, lr=0.0, momentum=settings.momentum, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(buffers, lr=0.0, alpha=settings.beta2, eps=settings.epsilon, foreach=True)
        case "adam" | "adamw":
            betas = (settings.momentum, settings.beta2)
            return torch.optim.Adam(buffers, lr=0.0, betas=betas, eps=settings.epsilon, fused=True)
        case None:
            raise ValueError("the optimiser's name is still open; fill the settings first")
