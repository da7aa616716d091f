"""Short trainings of small nets on small pictures: a loop of a few lines, for nets and losses of no family."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.seeds import derive
from gnomon.gallery._small_pictures import Pictures
from gnomon.models.resnet import Plan, resnet
from gnomon.nn.initialise import initialise
from gnomon.training.threads import using

MOMENTUM = 0.9  # Nesterov's
JUDGED_AT_ONCE = 500  # pictures

Change = Callable[[Tensor, torch.Generator], Tensor]  # pictures (B, C, H, W) in and out: augmentation
Loss = Callable[[Any, Tensor], Tensor]  # of what the net returns in training, and labels (B,)


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with momentum; the rate follows half a cosine to zero."""

    epochs: int
    learning_rate: float
    batch_size: int = 64
    weight_decay: float = 0.0


def started(net: nn.Module, seed: int) -> nn.Module:
    """He initialisation, drawn with `seed`; filters laid out channels last."""
    initialise(net, "he", torch.Generator().manual_seed(derive(seed, "init")))
    laid: nn.Module = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return laid


def train(
    net: nn.Module, pictures: Pictures, recipe: Recipe, seed: int, *, change: Change | None = None,
    loss: Loss = functional.cross_entropy, look: Callable[[int], None] = lambda _epoch: None,
    keeps_statistics: bool = False,
) -> bool:  # fmt: skip
    """Train in place; True if it diverged and was given up. `look(epoch)` is called after epochs 1, 2, ...

    Batches are as equal in size as they can be: batch norm gets no small last one. Parameters without gradients
    (frozen ones) stay as they are; with `keeps_statistics`, the running means of batch norm too, and are used.
    """
    generator = torch.Generator().manual_seed(derive(seed, "train"))
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(
        parameters, lr=recipe.learning_rate, momentum=MOMENTUM, nesterov=True, weight_decay=recipe.weight_decay
    )
    num_batches = max(1, round(len(pictures) / recipe.batch_size))
    total, step = recipe.epochs * num_batches, 0
    with _alone(derive(seed, "dropout")):
        for epoch in range(1, recipe.epochs + 1):
            net.train(not keeps_statistics)
            for rows in torch.randperm(len(pictures), generator=generator).tensor_split(num_batches):
                optimiser.param_groups[0]["lr"] = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total))
                images = pictures.images[rows]
                outputs = net(images if change is None else change(images, generator))
                cost = loss(outputs, pictures.labels[rows])
                if not torch.isfinite(cost):
                    return True
                optimiser.zero_grad()
                cost.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                step += 1
            look(epoch)
    return False


def logits_of(net: nn.Module, pictures: Pictures) -> Tensor:
    """(N, K) in evaluation mode."""
    was_training = net.training
    net.eval()
    with torch.no_grad(), using(1):
        found = torch.cat([net(images) for images in pictures.images.split(JUDGED_AT_ONCE)])
    net.train(was_training)
    return found


def error_of(net: nn.Module, pictures: Pictures) -> float:
    """The share of wrong answers."""
    return float((logits_of(net, pictures).argmax(dim=1) != pictures.labels).double().mean())


def cost_of(net: nn.Module, pictures: Pictures) -> float:
    """The mean cross entropy in nats; that of guessing if the net is broken."""
    guessing = math.log(pictures.num_classes)
    found = float(functional.cross_entropy(logits_of(net, pictures).double(), pictures.labels))
    return float(np.nan_to_num(found, nan=guessing, posinf=guessing))


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """One thread, and torch's own generator (dropout draws from it) seeded; both as before afterwards."""
    with using(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def small_net(
    pictures: Pictures, seed: int, *, blocks: tuple[int, int, int] = (1, 1, 1), channels: float = 8
) -> nn.Module:
    """A residual net, started: blocks of two layers in three stages, with `channels`, twice and four times as many.

    Each number is rounded, so that fractions of a channel fit a number of parameters closely.

    Source: He et al. 2016, section 4.2, which has 16 channels and at least 3 blocks.
    """
    plan = Plan(blocks, (round(channels), round(2 * channels), round(4 * channels)), "zeros")
    return started(resnet(plan, pictures.inputs, pictures.num_classes, zero_gamma=False), seed)


def epochs_for(steps: int, pictures: Pictures, batch_size: int = 64) -> int:
    """As many epochs as have about this many steps: sets of any size get the same training."""
    return max(1, round(steps / max(1, round(len(pictures) / batch_size))))


def smoothed(share: float, count: int) -> float:
    """A share of wrong answers out of `count` that is never 0, for logarithms: half a wrong answer more."""
    return (share * count + 0.5) / (count + 1)
