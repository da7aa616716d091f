"""Networks that every torch stack trains: those of gnomon, without the layer that normalises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def built(name: str, side: int, **own: Any) -> torch.nn.Module:
    """The network of that name for ten classes of colour pictures, dropout off."""
    from torch import nn

    from gnomon.core import found
    from gnomon.core.family import PictureInputs, Wanted

    family = found.family(name)
    inputs = PictureInputs(3, side, side, (0.5,) * 3, (0.25,) * 3)
    model: Any = family.build(Wanted(name, inputs, family.settings(**own), (), 10))
    model.normalise = nn.Identity()
    return model
