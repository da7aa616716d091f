"""Every optimiser against torch.optim, step by step, and against closed forms."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from gnomon.reference import optimisers
from gnomon.reference.dense import dense_backward, dense_forward
from gnomon.reference.losses import one_hot, softmax_cross_entropy, softmax_cross_entropy_backward

STEPS = 60


def _sgd(W, dW, state, t):
    return optimisers.sgd_step(W, dW, learning_rate=0.05), state


def _momentum(W, dW, state, t):
    W, v = optimisers.momentum_step(W, dW, state[0], learning_rate=0.05, beta=0.9)
    return W, (v, state[1])


def _nesterov(W, dW, state, t):
    W, v = optimisers.nesterov_step(W, dW, state[0], learning_rate=0.05, beta=0.9)
    return W, (v, state[1])


def _rmsprop(W, dW, state, t):
    W, s = optimisers.rmsprop_step(W, dW, state[0], learning_rate=0.01, beta=0.95, epsilon=1e-8)
    return W, (s, state[1])


def _adam(W, dW, state, t):
    W, *state = optimisers.adam_step(W, dW, *state, t, learning_rate=0.02)
    return W, state


def _adamw(W, dW, state, t):
    W, *state = optimisers.adamw_step(W, dW, *state, t, learning_rate=0.02, weight_decay=0.3, beta1=0.8, beta2=0.99)
    return W, state


RULES = {
    "sgd": (_sgd, lambda w: torch.optim.SGD(w, lr=0.05)),
    "momentum": (_momentum, lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9)),
    "nesterov": (_nesterov, lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9, nesterov=True)),
    "rmsprop": (_rmsprop, lambda w: torch.optim.RMSprop(w, lr=0.01, alpha=0.95, eps=1e-8)),
    "adam": (_adam, lambda w: torch.optim.Adam(w, lr=0.02)),
    "adamw": (_adamw, lambda w: torch.optim.AdamW(w, lr=0.02, weight_decay=0.3, betas=(0.8, 0.99))),
}


@pytest.mark.parametrize("name", RULES)
def test_optimiser_walks_torch_optims_path_step_by_step(name):
    """The loss is bent and the gradient comes from where each has walked to: errors would grow."""
    step, build = RULES[name]
    rng = np.random.default_rng(0)
    start, target, scale = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), rng.uniform(0.1, 3, (4, 3))
    W, state = start, (np.zeros_like(start), np.zeros_like(start))
    w = torch.tensor(start, requires_grad=True)
    twin = build([w])
    for t in range(1, STEPS + 1):
        distance = W - target
        W, state = step(W, scale * (distance + distance**3), state, t)
        twin.zero_grad()
        away = w - torch.tensor(target)
        (torch.tensor(scale) * (away**2 / 2 + away**4 / 4)).sum().backward()
        twin.step()
        assert_allclose(W, w.detach().numpy(), rtol=1e-9, atol=1e-11, err_msg=f"step {t}")
    assert np.abs(W - start).max() > 0.1


def test_the_notes_momentum_at_ten_times_the_rate_walks_the_same_path():
    rng = np.random.default_rng(1)
    W = averaged = rng.standard_normal(5)
    v = u = np.zeros(5)
    for _ in range(STEPS):
        dW = rng.standard_normal(5)
        W, v = optimisers.momentum_step(W, dW, v, learning_rate=0.01, beta=0.9)
        averaged, u = optimisers.momentum_step(averaged, dW, u, learning_rate=0.1, beta=0.9, dampening=0.9)
    assert_allclose(averaged, W, rtol=1e-10)


def test_the_first_adam_step_is_the_learning_rate_in_the_direction_of_the_sign():
    # v/(1 - beta1) = dW and sqrt(s/(1 - beta2)) = |dW| at t = 1
    dW = np.array([3.0, -0.02, 500.0])
    W, _, _ = optimisers.adam_step(np.zeros(3), dW, np.zeros(3), np.zeros(3), 1, learning_rate=0.1, epsilon=0.0)
    assert_allclose(W, -0.1 * np.sign(dW), rtol=1e-12)


def test_a_parameter_that_never_gets_a_gradient_stays_where_it_is():
    zero, W = np.zeros(2), np.array([1.0, -2.0])
    assert optimisers.rmsprop_step(W, zero, zero, learning_rate=0.1)[0].tolist() == W.tolist()
    assert optimisers.adam_step(W, zero, zero, zero, 1, learning_rate=0.1)[0].tolist() == W.tolist()


def test_a_two_layer_network_trained_by_the_equations_equals_the_same_one_trained_by_torch():
    rng = np.random.default_rng(2)
    X, labels = rng.standard_normal((12, 6)), rng.integers(0, 3, 12)
    Y = one_hot(labels, 3)
    shapes = [(5, 6), (5,), (3, 5), (3,)]
    parameters = [rng.standard_normal(shape) * 0.5 for shape in shapes]
    twins = [torch.tensor(array, requires_grad=True) for array in parameters]
    rule = torch.optim.Adam(twins, lr=0.05)
    states = [(np.zeros(shape), np.zeros(shape)) for shape in shapes]
    losses = []
    for t in range(1, STEPS + 1):
        W1, b1, W2, b2 = parameters
        A1 = np.tanh(dense_forward(X, W1, b1))
        Z2 = dense_forward(A1, W2, b2)
        losses.append(softmax_cross_entropy(Z2, Y).mean())
        dZ2 = softmax_cross_entropy_backward(np.full(12, 1 / 12), Z2, Y)
        dA1, dW2, db2 = dense_backward(dZ2, A1, W2)
        _, dW1, db1 = dense_backward(dA1 * (1 - A1**2), X, W1)
        moved = [
            optimisers.adam_step(W, dW, *state, t, learning_rate=0.05)
            for W, dW, state in zip(parameters, (dW1, db1, dW2, db2), states, strict=True)
        ]
        parameters, states = [W for W, _, _ in moved], [(v, s) for _, v, s in moved]

        hidden = torch.tanh(torch.nn.functional.linear(torch.tensor(X), twins[0], twins[1]))
        logits = torch.nn.functional.linear(hidden, twins[2], twins[3])
        rule.zero_grad()
        torch.nn.functional.cross_entropy(logits, torch.tensor(labels)).backward()
        rule.step()
    for ours, twin in zip(parameters, twins, strict=True):
        assert_allclose(ours, twin.detach().numpy(), rtol=1e-8, atol=1e-8)
    assert losses[-1] < losses[0] / 3
