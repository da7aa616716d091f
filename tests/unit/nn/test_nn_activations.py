"""Activations and their derivatives against the formulas."""

import math

import pytest
import torch

from gnomon.core.errors import UsageError
from gnomon.nn.activations import activation

POINTS = [-3.0, -0.5, 0.25, 2.0]

FORMULAS = {  # value and derivative, as on the blackboard
    "relu": (lambda z: max(0.0, z), lambda z: float(z > 0)),
    "leaky_relu": (lambda z: max(0.01 * z, z), lambda z: 1.0 if z > 0 else 0.01),
    "tanh": (math.tanh, lambda z: 1 - math.tanh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + math.exp(-z)), lambda z: math.exp(-z) / (1 + math.exp(-z)) ** 2),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_derivatives_match_the_formulas(name):
    value, slope = FORMULAS[name]
    z = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    a = activation(name)(z)
    a.sum().backward()
    assert a.tolist() == pytest.approx([value(point) for point in POINTS], abs=1e-12)
    assert z.grad.tolist() == pytest.approx([slope(point) for point in POINTS], abs=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_pooling_before_or_after_the_activation_is_the_same_bit_for_bit(name):
    z = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pool = torch.nn.MaxPool2d(2)
    assert torch.equal(activation(name)(pool(z)), pool(activation(name)(z)))


def test_an_unknown_activation_is_refused_by_name():
    with pytest.raises(UsageError, match=r"'gelu'.*use relu, leaky_relu, tanh or sigmoid"):
        activation("gelu")
