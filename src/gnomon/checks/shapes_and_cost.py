"""The layer table of a model: output shape, parameters, multiply-adds, activation size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# Modules of torch.nn that multiply nothing by a weight matrix, by the file that defines them. Normalisation counts as
# free: at prediction it folds into the layer before it.
FREE_FILES = frozenset(
    {"activation", "batchnorm", "channelshuffle", "container", "dropout", "flatten", "fold", "instancenorm"}
    | {"normalization", "padding", "pixelshuffle", "pooling", "sparse", "upsampling"}
)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer; all numbers are per example.

    `parameters` are the layer's own, each counted where it first appears, so that the column sums to the model's total.
    `multiply_adds` are products of inputs and weights (biases not counted): 0 if there are none, None if this table
    cannot count them. `activation_size` is how many numbers the layer outputs over all calls; calls of one layer with
    the same output shape share a row.
    """

    name: str  # "features.0"; empty if the model itself is the layer
    kind: str  # "Conv2d"
    output_shape: tuple[int, ...]  # without the batch
    parameters: int
    multiply_adds: int | None
    activation_size: int
    calls: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a layer table."""

    parameters: int
    multiply_adds: int  # of the layers that could be counted
    activation_size: int
    uncounted: tuple[str, ...]  # layers whose multiply-adds are missing from the sum


def layer_table(model: nn.Module, run: Callable[[nn.Module], object], *, batch_size: int) -> list[LayerRow]:
    """The layers in the order in which `run(model)`, one forward pass over `batch_size` examples, calls them.

    A layer is a module without children, or one with its own parameters. The pass runs in evaluation mode without
    gradients; every module's mode is restored. Layers with parameters that the pass never calls come last.
    """
    layers = {name: module for name, module in model.named_modules() if _is_layer(module)}
    rows: dict[tuple[str, tuple[int, ...]], LayerRow] = {}

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def add_call(module: nn.Module, inputs: Any, output: Any) -> None:
            row = _call(name, module, _first_tensor(inputs), _first_tensor([output]), batch_size)
            before = rows.get((name, row.output_shape))
            rows[name, row.output_shape] = row if before is None else _together(before, row)

        return add_call

    modes = {module: module.training for module in model.modules()}
    handles = [module.register_forward_hook(hook_for(name)) for name, module in layers.items()]
    try:
        model.eval()
        with torch.no_grad():  # not inference_mode: a table that the model caches on the way must still be trainable
            run(model)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    called = {name for name, _ in rows}
    idle = [
        LayerRow(name, type(module).__name__, (), 0, 0, 0, calls=0)
        for name, module in layers.items()
        if name not in called and next(module.parameters(recurse=False), None) is not None
    ]
    return _with_parameters([*rows.values(), *idle], layers)


def totals(rows: Iterable[LayerRow]) -> Totals:
    """Parameters, multiply-adds and activation size of all layers together."""
    rows = list(rows)
    return Totals(
        parameters=sum(row.parameters for row in rows),
        multiply_adds=sum(row.multiply_adds or 0 for row in rows),
        activation_size=sum(row.activation_size for row in rows),
        uncounted=tuple(row.name for row in rows if row.multiply_adds is None),
    )


def _is_layer(module: nn.Module) -> bool:
    is_leaf = next(module.children(), None) is None
    return is_leaf or next(module.parameters(recurse=False), None) is not None


def _call(name: str, module: nn.Module, inputs: Tensor | None, output: Tensor | None, batch_size: int) -> LayerRow:
    """The row of one call; its parameters are added later."""
    shape = () if output is None else _per_example(tuple(output.shape), batch_size)
    cost = None if output is None else _multiply_adds(module, inputs, output)
    return LayerRow(
        name,
        type(module).__name__,
        shape,
        parameters=0,
        multiply_adds=None if cost is None else cost // batch_size,
        activation_size=0 if output is None else math.prod(shape),
        calls=1,
    )


def _together(first: LayerRow, second: LayerRow) -> LayerRow:
    cost = (
        None
        if first.multiply_adds is None or second.multiply_adds is None
        else first.multiply_adds + second.multiply_adds
    )
    return replace(
        first,
        multiply_adds=cost,
        activation_size=first.activation_size + second.activation_size,
        calls=first.calls + second.calls,
    )


def _with_parameters(rows: list[LayerRow], layers: dict[str, nn.Module]) -> list[LayerRow]:
    counted: set[nn.Parameter] = set()
    filled = []
    for row in rows:
        own = set(layers[row.name].parameters(recurse=False)) - counted
        counted |= own
        filled.append(replace(row, parameters=sum(parameter.numel() for parameter in own)))
    return filled


def _multiply_adds(module: nn.Module, inputs: Tensor | None, output: Tensor) -> int | None:
    """Products with weights in one call, over the whole batch; None for an unknown kind of layer."""
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, CONVOLUTIONS):
        return output.numel() * (module.in_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, TRANSPOSED):
        if inputs is None:
            return None
        return inputs.numel() * (module.out_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, nn.MultiheadAttention):  # torch defines it among the activations
        return None
    package, _, file = type(module).__module__.rpartition(".")
    is_free = isinstance(module, nn.Identity) or (package == "torch.nn.modules" and file in FREE_FILES)
    return 0 if is_free else None


def _per_example(shape: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
    """(B, ...) -> (...); (B T, ...) -> (T, ...); a shape without a batch dimension stays."""
    if not shape or shape[0] % batch_size:
        return shape
    return shape[1:] if shape[0] == batch_size else (shape[0] // batch_size, *shape[1:])


def _first_tensor(values: Iterable[Any]) -> Tensor | None:
    """The first tensor in `values` or in anything nested in them."""
    for value in values:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, dict | tuple | list):
            found = _first_tensor(value.values() if isinstance(value, dict) else value)
            if found is not None:
                return found
    return None
