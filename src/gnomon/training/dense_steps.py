"""A plain stack of dense layers without autograd: its gradients by the chain rule, straight into the flat buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from gnomon.nn.bins import QuantileBins
from gnomon.nn.normalise import Normalise
from gnomon.training.embedded_columns import EmbeddedColumns

ops: Any = torch.ops
Function = Callable[..., Tensor]
# Each activation (in place), and its derivative by torch's own kernel from (gradient, output).
ACTIVATIONS: dict[type[nn.Module], tuple[Function, Function]] = {
    nn.ReLU: (lambda _, z: z.relu_(), lambda _, d, a: ops.aten.threshold_backward.default(d, a, 0.0)),
    nn.LeakyReLU: (
        lambda layer, z: ops.aten.leaky_relu_.default(z, layer.negative_slope),
        lambda layer, d, a: ops.aten.leaky_relu_backward.default(d, a, layer.negative_slope, True),
    ),
    nn.Tanh: (lambda _, z: z.tanh_(), lambda _, d, a: ops.aten.tanh_backward.default(d, a)),
    nn.Sigmoid: (lambda _, z: z.sigmoid_(), lambda _, d, a: ops.aten.sigmoid_backward.default(d, a)),
}
FIRST = (
    Normalise,
    QuantileBins,
    nn.Flatten,
    nn.Identity,
)  # what may come before the dense layers: none of it has a gradient
# Multiply-adds of a product from which oneDNN is faster. With AVX-512 it makes 200 GF/s on one core where MKL, which
# uses AVX2 on processors that are not Intel's, makes 107; a call costs 11 microseconds, one of mm 4.
LARGE_PRODUCT = 1_000_000
HAS_ONEDNN = (
    torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    and hasattr(ops.mkldnn, "_linear_pointwise")
)
_linear: Any = ops.mkldnn._linear_pointwise.default if HAS_ONEDNN else None  # what torch.compile's code calls


@dataclass
class _Layer:
    """One dense layer with what follows it, and what its last forward pass left for the backward pass."""

    weight: Tensor  # (out, in); these four are views into the flat buffers
    bias: Tensor | None  # (out,)
    weight_gradient: Tensor
    bias_gradient: Tensor | None
    activation: nn.Module | None = None
    dropout: nn.Dropout | None = None
    inputs: Tensor | None = None  # (B, in)
    outputs: Tensor | None = None  # (B, out), of the activation
    mask: Tensor | None = None  # (B, out), of the dropout: 0 or 1 / (1 - p)


@final
class DenseSteps:
    """The forward and the backward pass of a training step, without autograd.

    The numbers are autograd's up to rounding, dropout draws what torch's layer would draw, and the same threads on
    the same machine give the same bits. Called like the model; `backward` then takes the gradient of the outputs and
    adds to the `.grad` of every parameter.
    """

    def __init__(
        self, model: nn.Module, first: Sequence[nn.Module], embedded: EmbeddedColumns | None, layers: Sequence[_Layer]
    ) -> None:
        self.model, self.first, self.embedded, self.layers = model, first, embedded, layers

    @staticmethod
    def of(model: nn.Module, device: torch.device) -> DenseSteps | None:
        """None if `model` is anything but such a stack on a CPU with gradients for all its parameters."""
        if device.type != "cpu" or any(parameter.grad is None for parameter in model.parameters()):
            return None
        first, embedded, layers = list[nn.Module](), None, list[_Layer]()
        for module in _leaves(model):
            last = layers[-1] if layers else None
            if type(module) is nn.Linear:
                layers.append(_layer(module))
            elif last is None and embedded is None and type(module) in FIRST:
                first.append(module)
            elif last is None and embedded is None and type(module) is nn.ModuleList:
                embedded = EmbeddedColumns.of(module)
                if embedded is None:
                    return None
            elif last and type(module) in ACTIVATIONS and last.activation is None and last.dropout is None:
                last.activation = module
            elif last and type(module) is nn.Dropout and last.dropout is None and module.p < 1:
                last.dropout = module
            else:
                return None
        if not layers or any(map(_has_hooks, model.modules())):
            return None
        return DenseSteps(model, first, embedded, layers)

    def __getattr__(self, name: str) -> Any:  # a task may ask the model for its parts
        return getattr(self.model, name)

    def __call__(self, inputs: Tensor, codes: Tensor | None = None) -> Tensor:
        for module in self.first:
            inputs = module(inputs)
        if self.embedded is not None:
            assert codes is not None  # the model was built for them
            inputs = torch.cat([inputs, self.embedded(codes)], dim=1)
        for layer in self.layers:
            inputs = _forward(layer, inputs)
        return inputs

    def backward(self, d: Tensor) -> None:
        """From the gradient of the outputs (B, out) to those of all parameters; that of the numbers is unused."""
        for layer in reversed(self.layers):
            d = _backward(layer, d)
            if layer is not self.layers[0]:
                d = _product(d, layer.weight.t(), None)
        if self.embedded is not None:
            # by mm: on a part of a matrix oneDNN takes a thousand times as long
            self.embedded.backward(d @ self.layers[0].weight[:, -self.embedded.width :])


def _forward(layer: _Layer, inputs: Tensor) -> Tensor:
    layer.inputs, layer.mask = inputs, None
    outputs = _product(inputs, layer.weight, layer.bias)
    if layer.activation is not None:
        outputs = layer.outputs = ACTIVATIONS[type(layer.activation)][0](layer.activation, outputs)
    dropout = layer.dropout
    if dropout is not None and dropout.training and dropout.p > 0:
        layer.mask = torch.empty_like(outputs).bernoulli_(1 - dropout.p).div_(1 - dropout.p)
        outputs = outputs * layer.mask
    return outputs


def _backward(layer: _Layer, d: Tensor) -> Tensor:
    """From d (B, out), the gradient of the layer's output, to that of its product: dW = d^T x, db = sum of d."""
    if layer.mask is not None:
        d = d * layer.mask
    if layer.activation is not None:
        d = ACTIVATIONS[type(layer.activation)][1](layer.activation, d, layer.outputs)
    assert layer.inputs is not None  # set in the forward pass
    if _is_large(d, layer.weight):
        layer.weight_gradient.add_(_product(d.t(), layer.inputs.t(), None))
    else:
        layer.weight_gradient.addmm_(d.t(), layer.inputs)
    if layer.bias_gradient is not None:
        layer.bias_gradient.add_(d.sum(dim=0))
    return d


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W^T + b for x (B, in), W (out, in), either of which may be a transposed view."""
    if _is_large(x, weight):
        outputs: Tensor = _linear(x, weight, bias, "none", [], "")
        return outputs
    return torch.mm(x, weight.t()) if bias is None else torch.addmm(bias, x, weight.t())


def _is_large(x: Tensor, weight: Tensor) -> bool:
    return HAS_ONEDNN and x.shape[0] * weight.numel() >= LARGE_PRODUCT and x.dtype == torch.float32


def _layer(linear: nn.Linear) -> _Layer:
    weight, bias = linear.weight, linear.bias
    assert weight.grad is not None
    if bias is None:
        return _Layer(weight.detach(), None, weight.grad, None)
    return _Layer(weight.detach(), bias.detach(), weight.grad, bias.grad)


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    """Layers in their order: of nested nn.Sequential, and of a module with a method `plain_layers` that lists them.

    That method gives None where the module does more than call them one after the other; an nn.ModuleList among them
    stands for embeddings of the second argument, put beside what comes before. Others are one layer each.
    """
    named = getattr(module, "plain_layers", None)
    layers = module if type(module) is nn.Sequential else None if named is None else named()
    if layers is None:
        yield module
        return
    for layer in layers:
        yield from _leaves(layer)


def _has_hooks(module: nn.Module) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for name in hooks)
