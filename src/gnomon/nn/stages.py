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


@final
class OnVectors(nn.Module):
    """(B, F) -> what the backbone gives for the pictures with these vectors: its own head, and the dropout before it.

    The parameters are those of the backbone, not copies of them.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.dropout = getattr(model, "dropout", None) or nn.Identity()
        self.head = model.head

    def forward(self, vectors: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.dropout(vectors))
        return outputs
