"""The layer table of a model: output shape, parameters, multiply-adds, activation size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
GATES = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3, nn.RNN: 1, nn.RNNCell: 1}
ATTENTION = "scaled_dot_product_attention"  # the kind of a row for calls of it in a module that is not a layer itself
# Modules of torch.nn that multiply nothing by a weight matrix, by the file that defines them. Normalisation counts as
# free: at prediction it folds into the layer before it.
FREE_FILES = frozenset(
    {"activation", "batchnorm", "channelshuffle", "container", "dropout", "flatten", "fold", "instancenorm"}
    | {"normalization", "padding", "pixelshuffle", "pooling", "sparse", "upsampling"}
)

Given = tuple[tuple[Any, ...], Mapping[str, Any]]  # what a module was called with: by place, by name


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer; all numbers are per example.

    `parameters` are the layer's own, each counted where it first appears, so that the column sums to the model's total.
    `multiply_adds` are products of inputs and weights, and in attention of queries with keys and of their softmax with
    values (biases not counted): 0 if there are none, None if this table cannot count them. `activation_size` is how
    many numbers the layer outputs over all calls; calls of one layer with the same output shape share a row.
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

    A layer is a module without children, or one with its own parameters; a module that calls torch's scaled dot product
    attention between its layers has a row for that. The pass runs in evaluation mode without gradients; every module's
    mode is restored. Layers with parameters that the pass never calls come last.
    """
    layers = {name: module for name, module in model.named_modules() if _is_layer(module)}
    rows: dict[tuple[str, str, tuple[int, ...]], LayerRow] = {}
    running: list[nn.Module] = []  # the modules that are being called, the innermost last
    attended: Counter[nn.Module] = Counter()  # multiply-adds of attention since a module's last row

    def add(row: LayerRow) -> None:
        key = row.name, row.kind, row.output_shape
        rows[key] = _together(rows[key], row) if key in rows else row

    def on_attention(query: Tensor, key: Tensor, value: Tensor) -> None:
        if running and not isinstance(running[-1], nn.MultiheadAttention):  # whose own count has it
            attended[running[-1]] += query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any, Any], None]:
        def add_call(module: nn.Module, inputs: Any, named: Any, output: Any) -> None:
            running.pop()
            cost = attended.pop(module, None)
            if name in layers:
                add(_call(name, module, (inputs, named), _first_tensor([output]), batch_size, cost))
            elif cost is not None:
                found = _first_tensor([output])
                shape = () if found is None else _per_example(tuple(found.shape), batch_size)
                add(LayerRow(name, ATTENTION, shape, 0, cost // batch_size, math.prod(shape), calls=1))

        return add_call

    modes = {module: module.training for module in model.modules()}
    handles = [module.register_forward_pre_hook(lambda module, _: running.append(module)) for module in modes]
    handles += [
        module.register_forward_hook(hook_for(name), with_kwargs=True) for name, module in model.named_modules()
    ]
    with_fast_path = torch.backends.mha.get_fastpath_enabled()  # it leaves out the calls that are counted here
    try:
        model.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        # not inference_mode: a table that the model caches on the way must still be trainable
        with torch.no_grad(), _Attention(on_attention):
            run(model)
    finally:
        torch.backends.mha.set_fastpath_enabled(with_fast_path)
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    called = {name for name, _, _ in rows}
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


class _Attention(TorchFunctionMode):
    """Reports every call of torch's scaled dot product attention, with its query, key and value."""

    def __init__(self, report: Callable[[Tensor, Tensor, Tensor], None]) -> None:
        super().__init__()
        self.report = report

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is scaled_dot_product_attention:
            given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
            self.report(given["query"], given["key"], given["value"])
        return func(*args, **kwargs)


def _call(
    name: str, module: nn.Module, inputs: Given, output: Tensor | None, batch_size: int, attended: int | None
) -> LayerRow:
    """The row of one call; its parameters are added later. `attended`: multiply-adds of attention inside it."""
    shape = () if output is None else _per_example(tuple(output.shape), batch_size)
    cost = None if output is None else _multiply_adds(module, inputs, output)
    if cost is None and attended is not None and next(module.parameters(), None) is None:
        cost = attended
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
        module = layers.get(row.name)
        own = set[nn.Parameter]() if module is None else set(module.parameters(recurse=False)) - counted
        counted |= own
        filled.append(replace(row, parameters=sum(parameter.numel() for parameter in own)))
    return filled


def _multiply_adds(module: nn.Module, inputs: Given, output: Tensor) -> int | None:
    """Products in one call, over the whole batch; None for an unknown kind of layer."""
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, CONVOLUTIONS):
        return output.numel() * (module.in_channels // module.groups) * math.prod(module.kernel_size)
    first = _first_tensor(inputs)
    if isinstance(module, TRANSPOSED):
        if first is None:
            return None
        return first.numel() * (module.out_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, nn.MultiheadAttention):  # torch defines it among the activations
        return _of_attention(module, *inputs)
    if type(module) in GATES:
        return None if first is None else _of_steps(module, first.numel())
    package, _, file = type(module).__module__.rpartition(".")
    is_free = isinstance(module, nn.Identity) or (package == "torch.nn.modules" and file in FREE_FILES)
    return 0 if is_free else None


def _of_steps(module: Any, num_inputs: int) -> int:
    """Of a recurrent layer or cell over all its steps; each multiplies gates x units x (inputs + units before)."""
    gates, units = GATES[type(module)], module.hidden_size
    steps = num_inputs // module.input_size
    if not isinstance(module, nn.RNNBase):
        return int(steps * gates * units * (module.input_size + units))
    answer = module.proj_size or units  # what a step hands on, to the next step and to the layer above
    directions = 2 if module.bidirectional else 1
    widths = [module.input_size, *[directions * answer] * (module.num_layers - 1)]
    return steps * sum(directions * units * (gates * (width + answer) + module.proj_size) for width in widths)


def _of_attention(module: nn.MultiheadAttention, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> int:
    """The four projections, queries with keys, their softmax with values; (B, T, D), (T, B, D) or unbatched (T, D)."""
    given = dict(zip(("query", "key", "value"), inputs, strict=False)) | dict(named)
    query, key, value = given["query"], given["key"], given["value"]
    queries, width = query.numel() // module.embed_dim, module.embed_dim  # of all examples
    keys = key.shape[1 if module.batch_first and key.dim() == 3 else 0]  # of one example
    keys += (module.bias_k is not None) + module.add_zero_attn
    return int(width * (2 * queries * width + key.numel() + value.numel()) + 2 * queries * keys * width)


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
