"""Every hand-written backward of the reference against two-sided differences of its own forward, without torch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gnomon.reference import (
    activations,
    attention,
    convolution,
    dense,
    dropout,
    losses,
    normalisation,
    penalties,
    places,
    pooling,
    recurrent,
)

RNG = np.random.default_rng(0)
STEP = 1e-5  # error of the differences: STEP^2 / 6 of the third derivative plus 1e-16 / STEP of the value


def _numeric(scalar, X):
    gradient = np.zeros_like(X)
    for index in np.ndindex(X.shape):
        up, down = X.copy(), X.copy()
        up[index] += STEP
        down[index] -= STEP
        gradient[index] = (scalar(up) - scalar(down)) / (2 * STEP)
    return gradient


def _assert_gradients(forward, backward, arrays):
    """`forward(*arrays)` is one array; `backward(dZ, *arrays)` is the gradient, or gradients in the order of arrays."""
    dZ = RNG.standard_normal(forward(*arrays).shape)
    gradients = backward(dZ, *arrays)
    for position, gradient in enumerate(gradients if isinstance(gradients, tuple) else (gradients,)):

        def scalar(X, position=position):
            moved = [X if i == position else array for i, array in enumerate(arrays)]
            return float((forward(*moved) * dZ).sum())

        assert_allclose(gradient, _numeric(scalar, arrays[position]), rtol=1e-6, atol=1e-8)


def _drawn(*shapes):
    return [RNG.standard_normal(shape) for shape in shapes]


def test_dense():
    _assert_gradients(
        dense.dense_forward, lambda dZ, A, W, b: dense.dense_backward(dZ, A, W), _drawn((3, 4), (2, 4), (2,))
    )


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "leaky_relu"])
def test_elementwise_activation(name):
    value, derivative = getattr(activations, name), getattr(activations, f"{name}_derivative")
    _assert_gradients(value, lambda dA, Z: dA * derivative(Z), _drawn((5, 4)))


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 2)])
def test_layer_norm(shape):
    _assert_gradients(
        normalisation.layer_norm_forward,
        lambda dY, Z, gamma, beta: normalisation.layer_norm_backward(dY, Z, gamma),
        _drawn(shape, shape[1:2], shape[1:2]),
    )


def test_softmax():
    _assert_gradients(activations.softmax, activations.softmax_backward, _drawn((3, 4)))


@pytest.mark.parametrize(
    "name", ["logistic_loss", "softmax_cross_entropy", "one_vs_all_loss", "multi_task_loss", "squared_error"]
)
def test_loss(name):
    (Z,) = _drawn((4, 3))
    Y = losses.one_hot(np.array([0, 2, 1, 1]), 3)
    if name == "multi_task_loss":
        Y[1, 2] = Y[3, 0] = np.nan
    if name == "logistic_loss":
        Z, Y = Z[:, 0], Y[:, 0]
    forward, backward = getattr(losses, name), getattr(losses, f"{name}_backward")
    _assert_gradients(lambda scores: forward(scores, Y), lambda weights, scores: backward(weights, scores, Y), [Z])


@pytest.mark.parametrize("num_classes", [0, 3])
def test_localisation_loss(num_classes):
    (Z,) = _drawn((4, 5 + num_classes))
    Y = np.column_stack([[1, 0, 1, np.nan], RNG.standard_normal((4, 4)), losses.one_hot(np.array([0, 2, 1, 1]), 3)])
    Y[1, 1:] = np.nan
    Y = Y[:, : 5 + num_classes]
    _assert_gradients(
        lambda scores: places.localisation_loss(scores, Y),
        lambda weights, scores: places.localisation_loss_backward(weights, scores, Y),
        [Z],
    )
    ignored = places.localisation_loss_backward(np.ones(4), Z, Y)
    assert not ignored[1, 1:].any()
    assert not ignored[3].any()


def test_landmark_loss():
    (Z,) = _drawn((3, 4, 2))
    Y = RNG.standard_normal((3, 4, 2))
    Y[0, 1] = Y[2] = np.nan
    _assert_gradients(
        lambda scores: places.landmark_loss(scores, Y, softening=0.3),
        lambda weights, scores: places.landmark_loss_backward(weights, scores, Y, softening=0.3),
        [Z],
    )
    ignored = places.landmark_loss_backward(np.ones(3), Z, Y, softening=0.3)
    assert not ignored[0, 1].any()
    assert not ignored[2].any()


@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 2)), ((3, 2), (2, 0))])
def test_convolution(stride, padding):
    def forward(X, W, b):
        return convolution.conv_forward(X, W, b, stride=stride, padding=padding)

    def backward(dZ, X, W, b):
        return convolution.conv_backward(dZ, X, W, stride=stride, padding=padding)

    _assert_gradients(forward, backward, _drawn((2, 2, 5, 4), (3, 2, 3, 2), (3,)))


@pytest.mark.parametrize("kind", ["max_pool2d", "average_pool2d"])
@pytest.mark.parametrize(("stride", "padding"), [((2, 2), (0, 0)), ((1, 2), (1, 1))])
def test_pooling(kind, stride, padding):
    forward, backward = getattr(pooling, f"{kind}_forward"), getattr(pooling, f"{kind}_backward")
    _assert_gradients(
        lambda X: forward(X, (2, 3), stride=stride, padding=padding),
        lambda dZ, X: backward(dZ, X, (2, 3), stride=stride, padding=padding),
        _drawn((2, 2, 5, 6)),
    )


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4, 2)])
def test_batch_norm(shape):
    Z, gamma, beta = _drawn(shape, (3,), (3,))
    mean, variance = RNG.standard_normal(3), RNG.uniform(0.5, 2, 3)
    _assert_gradients(
        lambda Z, gamma, beta: normalisation.batch_norm_train_forward(Z, gamma, beta)[0],
        lambda dY, Z, gamma, beta: normalisation.batch_norm_train_backward(dY, Z, gamma),
        [Z, gamma, beta],
    )
    _assert_gradients(
        lambda Z, gamma, beta: normalisation.batch_norm_eval_forward(Z, gamma, beta, mean, variance),
        lambda dY, Z, gamma, beta: normalisation.batch_norm_eval_backward(dY, Z, gamma, mean, variance),
        [Z, gamma, beta],
    )


def test_dropout():
    mask = dropout.dropout_mask((4, 5), 0.6, RNG)
    _assert_gradients(
        lambda A: dropout.dropout_forward(A, mask, keep_prob=0.6),
        lambda dD, A: dropout.dropout_backward(dD, mask, keep_prob=0.6),
        _drawn((4, 5)),
    )


@pytest.mark.parametrize("name", ["l2_penalty", "l1_penalty"])
def test_penalty(name):
    (W,) = _drawn((3, 4))
    value, backward = getattr(penalties, name), getattr(penalties, f"{name}_backward")
    numeric = _numeric(lambda X: value(X, strength=0.5, num_examples=20), W)
    assert_allclose(backward(W, strength=0.5, num_examples=20), numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("mask", [attention.causal_mask(4), np.ones((4, 4), bool)])
def test_multi_head_attention(mask):
    _assert_gradients(
        lambda *arrays: attention.multi_head_forward(*arrays, heads=2, mask=mask),
        lambda dY, X, W_in, b_in, W_out, b_out: attention.multi_head_backward(
            dY, X, W_in, b_in, W_out, heads=2, mask=mask
        ),
        _drawn((2, 4, 6), (18, 6), (18,), (6, 6), (6,)),
    )


@pytest.mark.parametrize("seen", [np.ones((3, 5), bool), np.arange(5) < np.array([[5], [2], [1]])])
def test_attention_to_another_sequence(seen):
    mask = seen[:, None, None]
    _assert_gradients(
        lambda *arrays: attention.across_forward(*arrays, heads=2, mask=mask),
        lambda dY, X, M, *parameters: attention.across_backward(dY, X, M, *parameters[:-1], heads=2, mask=mask),
        _drawn((3, 4, 6), (3, 5, 6), (6, 6), (6,), (12, 6), (12,), (6, 6), (6,)),
    )


@pytest.mark.parametrize("seen", [np.ones((3, 5), bool), np.arange(5) < np.array([[5], [2], [1]])])
def test_additive_attention(seen):
    _assert_gradients(
        lambda *arrays: attention.additive_forward(*arrays, seen)[0],
        lambda dZ, *arrays: attention.additive_backward(dZ, *arrays, seen),
        _drawn((3, 2, 4), (3, 5, 6), (7, 4), (7, 6), (7,), (7,)),
    )


@pytest.mark.parametrize("cell", ["rnn", "gru", "gru_cho", "gru_torch", "lstm", "lstm with peepholes"])
def test_recurrent_cell_through_time(cell):
    step, step_backward = (getattr(recurrent, f"{cell.split()[0]}{end}") for end in ("_step", "_step_backward"))
    gates = {"rnn": "a", "gru": "run", "lstm": "ufon"}[cell[:4].strip("_ ")]
    names = [f"{kind}_{gate}" for gate in gates for kind in "Wb"]
    names += ["c_n"] if cell == "gru_torch" else [f"p_{gate}" for gate in "ufo"] if "peepholes" in cell else []
    num_states = 2 if "lstm" in cell else 1
    arrays = _drawn((2, 4, 3), *[(2, 2)] * num_states, *[(2, 5) if name[0] == "W" else (2,) for name in names])

    def unrolled(X, *rest):
        return recurrent.unroll(step, X, rest[:num_states], dict(zip(names, rest[num_states:], strict=True)))

    def forward(*arrays):  # everything that a loss may see: the activations, and the last state beside them
        A, state, _ = unrolled(*arrays)
        return np.concatenate([A.ravel(), *(one.ravel() for one in state)])

    def backward(dZ, *arrays):
        A, state, caches = unrolled(*arrays)
        dA, *dstate = np.split(dZ, np.cumsum([A.size, *(one.size for one in state)])[:-1])
        P = dict(zip(names, arrays[1 + num_states :], strict=True))
        dX, dfirst, dP = recurrent.unroll_backward(
            step_backward, dA.reshape(A.shape), tuple(one.reshape(2, 2) for one in dstate), caches, P
        )
        return (dX, *dfirst, *(dP[name] for name in names))

    _assert_gradients(forward, backward, arrays)
