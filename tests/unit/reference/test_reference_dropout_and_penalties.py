"""Inverted dropout and the regularisation terms."""

import numpy as np
import torch
from numpy.testing import assert_allclose

from gnomon.reference import dropout, penalties


def test_dropout_equals_torch_given_the_same_mask():
    A = np.random.default_rng(0).standard_normal((40, 30)) + 5  # no zeros of its own
    a = torch.tensor(A, requires_grad=True)
    torch.manual_seed(0)
    D = torch.nn.functional.dropout(a, p=0.2)
    dD = np.random.default_rng(1).standard_normal(A.shape)
    D.backward(torch.tensor(dD))
    mask = D.detach().numpy() != 0
    assert 0 < (~mask).sum() < mask.size
    assert_allclose(dropout.dropout_forward(A, mask, keep_prob=0.8), D.detach().numpy(), rtol=1e-12)
    assert_allclose(dropout.dropout_backward(dD, mask, keep_prob=0.8), a.grad.numpy(), rtol=1e-12)


def test_dropout_keeps_the_expected_activation():
    # the mean of n kept-or-dropped ones has standard deviation sqrt((1 - p)/p / n) = 0.0005; five of them are allowed
    ones = np.ones((1000, 1000))
    mask = dropout.dropout_mask(ones.shape, 0.8, np.random.default_rng(0))
    assert abs(dropout.dropout_forward(ones, mask, keep_prob=0.8).mean() - 1) < 5 * np.sqrt(0.25 / ones.size)


def test_keeping_everything_is_no_dropout():
    A = np.random.default_rng(0).standard_normal((5, 5))
    mask = dropout.dropout_mask(A.shape, 1.0, np.random.default_rng(0))
    assert dropout.dropout_forward(A, mask, keep_prob=1.0).tolist() == A.tolist()


def test_penalties_and_their_gradients_equal_torch():
    W = np.random.default_rng(0).standard_normal((4, 3))
    options = {"strength": 0.7, "num_examples": 50}
    for value, backward, twin in (
        (penalties.l2_penalty, penalties.l2_penalty_backward, lambda w: 0.7 / (2 * 50) * torch.linalg.norm(w) ** 2),
        (penalties.l1_penalty, penalties.l1_penalty_backward, lambda w: 0.7 / 50 * w.abs().sum()),
    ):
        w = torch.tensor(W, requires_grad=True)
        cost = twin(w)
        cost.backward()
        assert_allclose(value(W, **options), cost.item(), rtol=1e-12)
        assert_allclose(backward(W, **options), w.grad.numpy(), rtol=1e-12)


def test_a_gradient_step_on_l2_alone_shrinks_weights_by_one_minus_alpha_lambda_over_m():
    W = np.random.default_rng(0).standard_normal((4, 3))
    after = W - 0.1 * penalties.l2_penalty_backward(W, strength=2.0, num_examples=10)
    assert_allclose(after, (1 - 0.1 * 2.0 / 10) * W, rtol=1e-12)
