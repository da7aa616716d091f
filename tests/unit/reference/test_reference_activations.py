"""Activations and their derivatives against torch, and at the ends of the number line."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from gnomon.reference import activations

POINTS = np.concatenate([np.linspace(-30, 30, 601), [-1e-9, 0.0, 1e-9]])
PAIRS = {
    "sigmoid": (activations.sigmoid, activations.sigmoid_derivative, torch.sigmoid),
    "tanh": (activations.tanh, activations.tanh_derivative, torch.tanh),
    "relu": (activations.relu, activations.relu_derivative, functional.relu),
    "leaky_relu": (activations.leaky_relu, activations.leaky_relu_derivative, functional.leaky_relu),
}


@pytest.mark.parametrize("name", PAIRS)
def test_activation_and_derivative_equal_torch(name):
    value, derivative, twin = PAIRS[name]
    z = torch.tensor(POINTS, requires_grad=True)
    twin(z).sum().backward()
    assert_allclose(value(POINTS), twin(z).detach().numpy(), rtol=1e-12, atol=1e-14)
    assert_allclose(derivative(POINTS), z.grad.numpy(), rtol=1e-8, atol=1e-14)


def test_sigmoid_holds_at_both_ends_without_overflow():
    # e^-800 is 0 in float64, e^800 is not finite; a naive sigmoid warns, and warnings are errors here
    assert activations.sigmoid(np.array([-800.0, 0.0, 800.0])).tolist() == [0.0, 0.5, 1.0]


def test_sigmoid_derivative_keeps_its_digits_where_one_minus_sigmoid_is_zero():
    # for large z the derivative is e^-z (1 - 2 e^-z + ...)
    assert_allclose(activations.sigmoid_derivative(np.array([50.0])), np.exp(-50.0), rtol=1e-14)


def test_softmax_equals_torch_in_value_and_gradient():
    rng = np.random.default_rng(0)
    Z, dA = rng.standard_normal((6, 5)) * 4, rng.standard_normal((6, 5))
    z = torch.tensor(Z, requires_grad=True)
    A = torch.softmax(z, dim=-1)
    A.backward(torch.tensor(dA))
    assert_allclose(activations.softmax(Z), A.detach().numpy(), rtol=1e-12)
    assert_allclose(activations.softmax_backward(dA, Z), z.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_softmax_sums_to_one_for_scores_that_overflow_when_exponentiated():
    A = activations.softmax(np.array([[1000.0, 1000.0, -1000.0]]))
    assert A.tolist() == [[0.5, 0.5, 0.0]]


def test_softmax_of_two_classes_is_the_sigmoid_of_their_difference():
    Z = np.random.default_rng(1).standard_normal((50, 2)) * 3
    assert_allclose(activations.softmax(Z)[:, 0], activations.sigmoid(Z[:, 0] - Z[:, 1]), rtol=1e-12)
