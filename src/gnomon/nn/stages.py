"""The stages of a backbone: frozen from the input on, or trained at rates that rise towards the last layer.

A backbone's `maps` name the children that make up each stage; children of no stage, between the last map and `head`,
are trained until the whole backbone is frozen.
"""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from gnomon.core.errors import UsageError


def stages_of(model: nn.Module) -> list[tuple[str, ...]]:
    """The children of each stage; none for a network without stages."""
    return [one.layers for one in getattr(model, "maps", ())]


def freeze_stages(model: nn.Module, frozen: int | str, name: str) -> None:
    """Exclude stages from training: the first `frozen`, or for "backbone" all but the head.

    `name` is what messages call the model. Raises UsageError for more stages than there are.
    """
    stages = stages_of(model)
    if isinstance(frozen, int) and frozen > len(stages):
        raise UsageError(
            f"freeze={frozen}, but {name} has {len(stages)} stages.",
            fix=f"freeze=1 to {len(stages)}, or freeze=backbone for all but the last layer.",
        )
    if isinstance(frozen, int):
        names = [child for layers in stages[:frozen] for child in layers]
    else:
        names = [child for child, _ in model.named_children() if child != "head" and frozen == "backbone"]
    for child in names:
        model.get_submodule(child).requires_grad_(False)


def grade_rates(model: nn.Module, first: float) -> None:
    """Let the trained stages learn at `first` (a factor) and evenly, on a log scale, up to 1 at the head."""
    named = {child for layers in stages_of(model) for child in layers}
    rest = tuple(child for child, _ in model.named_children() if child not in named | {"head"})
    trained = [
        layers
        for layers in [*stages_of(model), rest]
        if any(one.requires_grad for child in layers for one in model.get_submodule(child).parameters())
    ]
    steps = len(trained)
    rates = {child: first ** ((steps - i) / steps) for i, layers in enumerate(trained) for child in layers}
    model.rates = rates  # type: ignore[assignment]  # read by nn/groups.py


def keep_statistics(model: nn.Module) -> None:
    """Let batch norm go on with the means and deviations it has, in training too; its factors and offsets are trained.

    Those of a few pictures, a batch at a time, are worse than those of a million: on 500 of CIFAR-10's they cost
    4 points of error (docs/log.md).
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.keeps_statistics = True  # type: ignore[assignment]  # read by nn/groups.py


@final
class AfterFrozen(nn.Module):
    """What the frozen stages of a backbone give, (B, C, H, W), or for "backbone" (B, F) -> what the backbone gives.

    The layers are those of the backbone, not copies of them, under the same names; only they are trained.
    """

    def __init__(self, model: Any, frozen: int | str) -> None:
        super().__init__()
        if frozen == "backbone":  # dropout, before the head, is no layer of which the result could be kept
            names = [name for name in ("dropout", "head") if hasattr(model, name)]
        else:
            names = [child for layers in stages_of(model)[int(frozen) :] for child in layers]
            names += [*model.then, "head"]
        for name in names:
            self.add_module(name, model.get_submodule(name))
        self.rates = {name: rate for name, rate in getattr(model, "rates", {}).items() if name in names}

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x
