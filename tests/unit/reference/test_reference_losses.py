"""Losses against torch and closed forms, values and gradients; missing labels leave no trace."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch.nn import functional

from gnomon.reference import losses

B, K = 9, 4


def _drawn(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((B, K)) * 3, rng.uniform(size=(B, K)).round(), rng.uniform(size=B)


def _assert_twin(ours, ours_backward, twin, Z, Y, weights):
    """`twin` gives torch's (B,) losses of (Z, Y)."""
    z = torch.tensor(Z, requires_grad=True)
    per_example = twin(z, torch.tensor(Y))
    (per_example * torch.tensor(weights)).sum().backward()
    assert_allclose(ours(Z, Y), per_example.detach().numpy(), rtol=1e-10, atol=1e-12)
    assert_allclose(ours_backward(weights, Z, Y), z.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_logistic_loss_equals_torch():
    Z, Y, weights = _drawn()
    _assert_twin(
        losses.logistic_loss,
        losses.logistic_loss_backward,
        lambda z, y: functional.binary_cross_entropy_with_logits(z, y, reduction="none"),
        Z[:, 0],
        Y[:, 0],
        weights,
    )


def test_logistic_loss_is_the_textbook_formula_where_that_can_be_computed():
    z = np.linspace(-20, 20, 81)
    a = 1 / (1 + np.exp(-z))
    for y in (0.0, 1.0):
        textbook = -(y * np.log(a) + (1 - y) * np.log(1 - a))
        assert_allclose(losses.logistic_loss(z, np.full_like(z, y)), textbook, rtol=1e-6)


def test_logistic_loss_of_a_sure_and_wrong_answer_is_the_score_itself():
    # log(1 + e^1000) = 1000 to the last bit; the textbook form takes the logarithm of 0
    assert losses.logistic_loss(np.array([1000.0, -1000.0]), np.array([0.0, 1.0])).tolist() == [1000.0, 1000.0]


def test_softmax_cross_entropy_equals_torch_with_hard_and_smoothed_labels():
    Z, _, weights = _drawn(1)
    labels = np.random.default_rng(2).integers(0, K, B)
    for smoothing in (0.0, 0.1):
        _assert_twin(
            losses.softmax_cross_entropy,
            losses.softmax_cross_entropy_backward,
            lambda z, y, s=smoothing: functional.cross_entropy(
                z, torch.tensor(labels), reduction="none", label_smoothing=s
            ),
            Z,
            losses.smooth_labels(losses.one_hot(labels, K), smoothing),
            weights,
        )


def test_softmax_cross_entropy_of_equal_scores_is_the_logarithm_of_the_number_of_classes():
    for num_classes in (2, 10, 1000):
        Y = losses.one_hot(np.array([0]), num_classes)
        assert_allclose(losses.softmax_cross_entropy(np.zeros((1, num_classes)), Y), math.log(num_classes), rtol=1e-14)


@settings(max_examples=50, deadline=None)
@given(shift=st.floats(-1e3, 1e3), seed=st.integers(0, 1000))
def test_adding_a_constant_to_all_scores_changes_no_softmax_loss(shift, seed):
    Z, _, _ = _drawn(seed)
    Y = losses.one_hot(np.arange(B) % K, K)
    assert_allclose(losses.softmax_cross_entropy(Z + shift, Y), losses.softmax_cross_entropy(Z, Y), atol=1e-11)


def test_one_vs_all_loss_equals_torch():
    Z, Y, weights = _drawn(3)
    _assert_twin(
        losses.one_vs_all_loss,
        losses.one_vs_all_loss_backward,
        lambda z, y: functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(dim=1),
        Z,
        Y,
        weights,
    )


def test_squared_error_equals_torch():
    Z, Y, weights = _drawn(4)
    _assert_twin(
        losses.squared_error,
        losses.squared_error_backward,
        lambda z, y: functional.mse_loss(z, y, reduction="none").sum(dim=1),
        Z,
        Y,
        weights,
    )


def test_multi_task_loss_equals_torch_with_the_unknown_entries_masked_out():
    Z, Y, weights = _drawn(5)
    Y[np.random.default_rng(6).uniform(size=Y.shape) < 0.4] = np.nan
    known = torch.tensor(~np.isnan(Y))

    def twin(z, y):
        each = functional.binary_cross_entropy_with_logits(z, y.nan_to_num(), reduction="none")
        return torch.where(known, each, 0.0).sum(dim=1)

    _assert_twin(losses.multi_task_loss, losses.multi_task_loss_backward, twin, Z, Y, weights)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_unlabelled_entries_give_exactly_zero_gradient_and_move_no_loss(seed, share):
    rng = np.random.default_rng(seed)
    Z, Y, weights = _drawn(seed)
    unknown = rng.uniform(size=Y.shape) < share
    Y[unknown] = np.nan
    elsewhere = np.where(unknown, rng.standard_normal(Z.shape) * 1e6, Z)
    assert (losses.multi_task_loss_backward(weights, Z, Y)[unknown] == 0.0).all()
    assert losses.multi_task_loss(elsewhere, Y).tolist() == losses.multi_task_loss(Z, Y).tolist()
    gradients = [losses.multi_task_loss_backward(weights, scores, Y) for scores in (Z, elsewhere)]
    assert (gradients[0] == gradients[1]).all()


def test_an_example_without_any_label_costs_nothing():
    nothing = np.full((1, K), np.nan)
    wild = np.array([[np.inf, -np.inf, 1e308, 0.0]])
    assert losses.multi_task_loss(wild, nothing).tolist() == [0.0]
    assert losses.multi_task_loss_backward(np.ones(1), wild, nothing).tolist() == [[0.0] * K]


def test_all_labels_known_makes_the_multi_task_loss_the_one_vs_all_loss():
    Z, Y, _ = _drawn(7)
    assert losses.multi_task_loss(Z, Y).tolist() == losses.one_vs_all_loss(Z, Y).tolist()
