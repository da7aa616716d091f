"""The frame of the backbones for pictures: stages that end in a map, layers that lead to the head, the head."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from torch import Tensor, nn

from gnomon.core.errors import UsageError
from gnomon.core.family import FeatureMap, PictureInputs, WithSides
from gnomon.nn.normalise import Normalise

LARGE_PICTURE = 64  # pixels per side from which a net meant for 224 keeps all its strides
SIDE_WEIGHT = 0.3  # of the loss of a side head. Szegedy et al. 2015, section 5
SKIPPED_HALVINGS = 2  # that such a net leaves out below: 32 pixels then end in maps of 4x4, not of 1x1


@dataclass(frozen=True)
class Stage:
    """Layers, called in this order, that end in a map of `channels`: a place every `stride` pixels of the picture."""

    stride: int
    channels: int
    layers: Mapping[str, nn.Module]


@final
class Backbone(nn.Module):
    """(B, C, H, W) pictures -> (B, num_outputs), or where that is None an OrderedDict of the maps in `maps`.

    Each stage has the map after its last layer; of successive stages of the same stride the last has it. `then` leads
    from the last map to `num_features` numbers, which the head takes; without a head it is left out. `sides`: heads
    that help in training, by the name of the layer whose result they take; they are called aux1, aux2, ...
    `gives_vectors`: what the head takes is meant to be compared as it is.
    """

    def __init__(
        self,
        inputs: PictureInputs,
        stages: Sequence[Stage],
        then: Mapping[str, nn.Module],
        *,
        num_features: int,
        num_outputs: int | None,
        sides: Mapping[str, nn.Module] | None = None,
        gives_vectors: bool = False,
    ) -> None:
        super().__init__()
        self.gives_vectors = gives_vectors
        self.normalise = Normalise(inputs.mean, inputs.std)
        maps: list[FeatureMap] = []
        for stage in stages:
            for name, layer in stage.layers.items():
                self.add_module(name, layer)
            one = FeatureMap(f"stride{stage.stride}", stage.channels, stage.stride, tuple(stage.layers))
            if maps and maps[-1].stride == stage.stride:
                one = replace(one, layers=maps.pop().layers + one.layers)
            maps.append(one)
        self.maps = tuple(maps)
        self.then = () if num_outputs is None else tuple(then)
        for name in self.then:
            self.add_module(name, then[name])
        self.sides: dict[str, str] = {}  # by the layer whose result they take
        for place, side in (sides or {}).items() if num_outputs is not None else ():
            self.sides[place] = f"aux{len(self.sides) + 1}"
            self.add_module(self.sides[place], side)
        self.head = None if num_outputs is None else nn.Linear(num_features, num_outputs)

    def forward(self, pictures: Tensor) -> Tensor | WithSides | OrderedDict[str, Tensor]:
        found, kept = self._maps(pictures)
        if self.head is None:
            return found
        outputs: Tensor = self.head(self._vectors(found))
        if not self.sides or not self.training:
            return outputs
        beside = tuple(self.get_submodule(self.sides[layer])(x) for layer, x in kept.items())
        return WithSides(outputs, beside, SIDE_WEIGHT)

    def vectors(self, pictures: Tensor) -> Tensor:
        """(B, num_features): what the head takes."""
        return self._vectors(self._maps(pictures)[0])

    def up_to(self, pictures: Tensor, stages: int) -> Tensor:
        """(B, C, H, W): the map after so many stages (of `maps`), from the input on; at least one."""
        x: Tensor = self.normalise(pictures)
        for one in self.maps[:stages]:
            for name in one.layers:
                x = self.get_submodule(name)(x)
        return x

    def _vectors(self, found: Mapping[str, Tensor]) -> Tensor:
        x = found[self.maps[-1].name]
        for name in self.then:
            x = self.get_submodule(name)(x)
        return x

    def _maps(self, pictures: Tensor) -> tuple[OrderedDict[str, Tensor], dict[str, Tensor]]:
        """The maps, and what the side heads take."""
        x = self.normalise(pictures)
        found: OrderedDict[str, Tensor] = OrderedDict()
        kept: dict[str, Tensor] = {}
        for one in self.maps:
            for name in one.layers:
                x = self.get_submodule(name)(x)
                if name in self.sides:
                    kept[name] = x
            found[one.name] = x
        return found, kept


def skipped_halvings(inputs: PictureInputs) -> int:
    """How many of its strides of 2, from the first on, a net meant for 224 pixels leaves out for these pictures."""
    return 0 if min(inputs.height, inputs.width) >= LARGE_PICTURE else SKIPPED_HALVINGS


def require_side(name: str, inputs: PictureInputs, smallest: int) -> None:
    """Raises UsageError for pictures of fewer pixels per side."""
    if min(inputs.height, inputs.width) < smallest:
        raise UsageError(
            f"{name} needs pictures of at least {smallest}x{smallest} pixels, got {inputs.height}x{inputs.width}.",
            fix=f"use image_size={max(smallest, 32)}, or a smaller net: model=convnet.",
        )
