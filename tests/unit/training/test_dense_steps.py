"""A stack of dense layers without autograd: its gradients against the equations and against autograd."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.models.dense import dense
from gnomon.nn import losses
from gnomon.nn.normalise import Normalise
from gnomon.parts import one_class
from gnomon.reference import activations as equations
from gnomon.reference.dense import dense_backward, dense_forward
from gnomon.reference.losses import (
    logistic_loss,
    logistic_loss_backward,
    one_hot,
    smooth_labels,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from gnomon.training import dense_steps
from gnomon.training.dense_steps import DenseSteps
from gnomon.training.flat import FlatParameters

CPU = torch.device("cpu")
LAYERS = {
    "relu": (nn.ReLU, equations.relu, equations.relu_derivative),
    "leaky_relu": (nn.LeakyReLU, equations.leaky_relu, equations.leaky_relu_derivative),
    "tanh": (nn.Tanh, equations.tanh, equations.tanh_derivative),
    "sigmoid": (nn.Sigmoid, equations.sigmoid, equations.sigmoid_derivative),
}


def flattened(model: nn.Module) -> nn.Module:
    """With gradients in flat buffers, as a step finds it."""
    FlatParameters(model)
    return model


def by_hand(model: nn.Module, inputs: torch.Tensor, target: torch.Tensor, share: float | torch.Tensor) -> torch.Tensor:
    """The losses; the gradients are added to the model's."""
    steps = DenseSteps.of(model, CPU)
    assert steps is not None
    with torch.no_grad():
        found, gradient = one_class.class_losses_and_gradient(steps(inputs), target)
        steps.backward(gradient * share)
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_the_equations(name):
    """784-256-128-10 in small, in float64, against NumPy: losses and every gradient, with smoothed labels."""
    layer, function, derivative = LAYERS[name]
    torch.manual_seed(3)
    model = flattened(nn.Sequential(nn.Linear(7, 6), layer(), nn.Linear(6, 5), layer(), nn.Linear(5, 4)).double())
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 7)), smooth_labels(one_hot(rng.integers(0, 4, 9), 4), 0.1)
    found = by_hand(model, torch.from_numpy(x), torch.from_numpy(y), 1 / 9)

    dense = [
        (part.weight.detach().numpy(), part.bias.detach().numpy()) for part in model if isinstance(part, nn.Linear)
    ]
    A, Z = [x], []
    for W, b in dense:
        Z.append(dense_forward(A[-1], W, b))
        A.append(function(Z[-1]))
    np.testing.assert_allclose(found.numpy(), softmax_cross_entropy(Z[-1], y), rtol=1e-12)
    dZ = softmax_cross_entropy_backward(np.full(9, 1 / 9), Z[-1], y)
    for i in reversed(range(3)):
        dA, dW, db = dense_backward(dZ, A[i], dense[i][0])
        linear = [part for part in model if isinstance(part, nn.Linear)][i]
        np.testing.assert_allclose(linear.weight.grad.numpy(), dW, rtol=1e-11, atol=1e-15)
        np.testing.assert_allclose(linear.bias.grad.numpy(), db, rtol=1e-11, atol=1e-15)
        dZ = dA * derivative(Z[i - 1]) if i else dZ


def test_the_losses_with_their_gradients_are_those_of_the_equations():
    rng = np.random.default_rng(1)
    z, labels = rng.normal(size=(11, 3)) * 5, rng.integers(0, 3, 11)
    found, gradient = losses.softmax_cross_entropy_and_gradient(torch.from_numpy(z), torch.from_numpy(labels))
    np.testing.assert_allclose(found.numpy(), softmax_cross_entropy(z, one_hot(labels, 3)), rtol=1e-12)
    expected = softmax_cross_entropy_backward(np.ones(11), z, one_hot(labels, 3))
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-12, atol=1e-15)
    t = rng.random(11)
    found, gradient = losses.logistic_loss_and_gradient(torch.from_numpy(z[:, 0]), torch.from_numpy(t))
    np.testing.assert_allclose(found.numpy(), logistic_loss(z[:, 0], t), rtol=1e-12)
    np.testing.assert_allclose(gradient.numpy(), logistic_loss_backward(np.ones(11), z[:, 0], t), rtol=1e-12)


@pytest.mark.parametrize("target", ["classes", "two classes", "smoothed"])
@pytest.mark.parametrize("library", ["oneDNN", "mm"])
def test_gradients_are_autograds_with_dropout_and_weights(library, target, monkeypatch):
    """At the size of W1, in float32; dropout draws the same masks, each example counts by its weight."""
    if library == "mm":
        monkeypatch.setattr(dense_steps, "HAS_ONEDNN", False)
    elif not dense_steps.HAS_ONEDNN:
        pytest.skip("no AVX-512 here")
    torch.manual_seed(0)
    num_outputs = 1 if target == "two classes" else 10
    model = nn.Sequential(
        Normalise([0.3], [0.2]), nn.Flatten(), nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.4)),
        nn.Linear(256, 128, bias=False), nn.Tanh(), nn.Dropout(0.1), nn.Linear(128, num_outputs),
    )  # fmt: skip
    twin = flattened(copy.deepcopy(model))
    flattened(model)
    images = torch.randint(0, 256, (64, 1, 28, 28), dtype=torch.uint8)
    classes = torch.randint(0, max(2, num_outputs), (64,))
    y = torch.rand(64, 10).softmax(dim=1) if target == "smoothed" else classes
    weight = torch.rand(64)
    share = weight / weight.sum()

    torch.manual_seed(5)
    found = by_hand(model, images, y, share[:, None])
    after = torch.get_rng_state()
    torch.manual_seed(5)
    expected = one_class.class_losses(twin(images), y)
    (expected * share).sum().backward()
    assert torch.equal(after, torch.get_rng_state())
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-6)
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-6 * float(two.grad.abs().max()))


def test_gradients_are_added_to_existing_ones():
    torch.manual_seed(0)
    model = flattened(nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 3)))
    x, y = torch.randn(64, 300), torch.randint(0, 3, (64,))
    by_hand(model, x, y, 1 / 64)
    once = [parameter.grad.clone() for parameter in model.parameters()]
    by_hand(model, x, y, 1 / 64)
    for parameter, gradient in zip(model.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)


def with_a_hook() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    model[1].register_forward_hook(lambda module, inputs, output: output * 2)
    return model


def with_a_frozen_layer() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    return model


class Twice(nn.Linear):
    def forward(self, inputs):
        return 2 * super().forward(inputs)


OTHERS = {
    "batch norm": lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)),
    "a convolution": lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(4, 2)),
    "a hook": with_a_hook,
    "a frozen layer": with_a_frozen_layer,
    "a layer of one's own": lambda: nn.Sequential(Twice(4, 3), nn.ReLU(), nn.Linear(3, 2)),
    "an activation after dropout": lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.ReLU(), nn.Linear(3, 2)),
    "everything dropped": lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(1.0), nn.Linear(3, 2)),
    "dropped inputs": lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)),
    "no dense layer": lambda: nn.Sequential(nn.Flatten()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else_is_left_to_autograd(name):
    assert DenseSteps.of(flattened(OTHERS[name]()), CPU) is None


@pytest.mark.parametrize("edges", [(), [(-1.0, 0.0, 1.0), *[()] * 5]], ids=["no bins", "bins"])
@pytest.mark.parametrize("sizes", [(), (4,), (2, 30, 3)], ids=["no categories", "one", "three"])
def test_a_table_is_trained_without_autograd(edges, sizes):
    torch.manual_seed(0)
    model = flattened(dense(6, 3, hidden=(5, 4), dropout=(0.5,), edges=edges, category_sizes=sizes))
    twin = flattened(copy.deepcopy(model))
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
    codes = torch.stack([torch.randint(0, size, (8,)) for size in sizes], dim=1) if sizes else None
    steps = DenseSteps.of(model, CPU)
    torch.manual_seed(1)
    with torch.no_grad():
        found, gradient = losses.softmax_cross_entropy_and_gradient(steps(x, codes), y)
        steps.backward(gradient / 8)
    torch.manual_seed(1)
    expected = losses.softmax_cross_entropy(twin(x, codes), y)
    expected.mean().backward()
    torch.testing.assert_close(found, expected.detach())
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_embeddings_that_are_not_plain_or_lie_apart_are_left_to_autograd():
    model = dense(6, 3, hidden=(5,), category_sizes=(4, 5))
    assert DenseSteps.of(flattened(copy.deepcopy(model)), CPU) is not None
    padded = copy.deepcopy(model)
    padded.embeddings[1].padding_idx = 0
    assert DenseSteps.of(flattened(padded), CPU) is None
    for parameter in model.parameters():  # each in memory of its own
        parameter.grad = torch.zeros_like(parameter)
    assert DenseSteps.of(model, CPU) is None


def test_hundreds_of_categories_cost_as_many_calls_as_a_few():
    """An embedding called for each column would be hundreds of calls in each step."""
    calls = {}
    for count in (3, 300):
        steps = DenseSteps.of(flattened(dense(2, 3, hidden=(5,), category_sizes=(4,) * count)), CPU)
        with torch.no_grad(), torch.profiler.profile() as profile:
            steps.backward(steps(torch.randn(8, 2), torch.randint(0, 4, (8, count))))
        calls[count] = sum(event.count for event in profile.key_averages())
    assert calls[3] == calls[300] > 0


def test_only_a_cpu_trains_without_autograd():
    model = flattened(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    assert DenseSteps.of(model, torch.device("cuda")) is None
    assert DenseSteps.of(model, CPU) is not None
