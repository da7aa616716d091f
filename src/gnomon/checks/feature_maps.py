"""The feature maps of any net: where its stages end, and what comes out of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gnomon.checks.receptive_field import Field, tracing


@dataclass(frozen=True)
class Stage:
    """Layers that end in a map of one size. The module may be called at other sizes too, which are not this stage."""

    name: str  # of the last layer, as the model has it; "layer2"
    module: nn.Module
    channels: int
    places: tuple[int, int]  # down, across
    field: Field | None  # None: each place sees the whole picture


def stages_in(model: nn.Module, call: Callable[[Tensor], object], picture: Tensor) -> tuple[Stage, ...]:
    """The stages of a net for pictures, from the input on: those with more than one place; none for a dense net.

    A backbone (one with `maps`), or the one in the net's `backbone`, says where they end. Of any other net, its
    children whose outputs (B, C, H, W) have one size in a row are a stage, if any of them has parameters; where they
    are all in one child, those of that one.
    `call(picture)` runs the model on `picture` (1, C, H, W), in evaluation mode and without gradients.
    """
    calls = _calls(model, call, picture)
    backbone: Any = getattr(model, "backbone", model)
    if getattr(backbone, "maps", ()):
        ends = {backbone.get_submodule(one.layers[-1]) for one in backbone.maps}
        return tuple(stage for stage in calls if stage.module in ends)
    inside = model
    while True:
        groups = _by_size([stage for stage in calls if stage.module in set(inside.children())])
        if len(groups) != 1 or not any(groups[0][-1].module.children()):
            return tuple(group[-1] for group in groups)
        inside = groups[0][-1].module


def _calls(model: nn.Module, call: Callable[[Tensor], object], picture: Tensor) -> list[Stage]:
    """Every module that gives a map, in the order in which they are done."""
    calls: list[Stage] = []
    with torch.no_grad(), tracing(picture) as field_of:

        def watch(name: str, module: nn.Module) -> RemovableHandle:
            def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
                if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2:].numel() > 1:
                    places = output.shape[2], output.shape[3]
                    calls.append(Stage(name, module, output.shape[1], places, field_of(output)))

            return module.register_forward_hook(look)

        handles = [watch(name, module) for name, module in model.named_modules()]
        try:
            call(picture)
        finally:
            for handle in handles:
                handle.remove()
    return calls


def _by_size(calls: Sequence[Stage]) -> list[list[Stage]]:
    """Those in a row that give maps of one size; only where something is learned."""
    rows = [list(row) for _, row in itertools.groupby(calls, key=lambda stage: stage.places)]
    return [row for row in rows if any(next(stage.module.parameters(), None) is not None for stage in row)]


@contextmanager
def watching(stages: Sequence[Stage]) -> Iterator[dict[str, Tensor]]:
    """Inside, the newest output of each stage, (B, C, H, W), by the stage's name. It is part of the graph, if any."""
    newest: dict[str, Tensor] = {}

    def keep(stage: Stage) -> Callable[[nn.Module, Any, Any], None]:
        def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and tuple(output.shape[2:]) == stage.places:
                newest[stage.name] = output

        return look

    handles = [stage.module.register_forward_hook(keep(stage)) for stage in stages]
    try:
        yield newest
    finally:
        for handle in handles:
            handle.remove()
