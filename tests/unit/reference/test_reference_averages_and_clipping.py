"""Exponentially weighted averages against the closed form; clipping against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from gnomon.reference import averages, clipping


@settings(max_examples=50, deadline=None)
@given(beta=st.floats(0.01, 0.999), length=st.integers(1, 60), seed=st.integers(0, 1000))
def test_averages_equal_the_closed_form(beta, length, seed):
    thetas = np.random.default_rng(seed).standard_normal((length, 2))
    plain = averages.weighted_averages(thetas, beta=beta, is_corrected=False)
    corrected = averages.weighted_averages(thetas, beta=beta)
    for t in range(1, length + 1):
        weights = beta ** np.arange(t - 1, -1, -1)  # the newest value has power 0
        closed = (weights[:, None] * thetas[:t]).sum(axis=0)
        assert_allclose(plain[t - 1], (1 - beta) * closed, rtol=1e-10, atol=1e-12)
        assert_allclose(corrected[t - 1], closed / weights.sum(), rtol=1e-9, atol=1e-11)


def test_corrected_averages_of_a_constant_are_that_constant():
    assert_allclose(averages.weighted_averages(np.full(100, 7.0), beta=0.98), 7.0, rtol=1e-12)


def test_averages_equal_pandas():
    pandas = pytest.importorskip("pandas")
    thetas = np.random.default_rng(0).standard_normal(40)
    twin = pandas.Series(thetas).ewm(alpha=0.1, adjust=True).mean().to_numpy()
    assert_allclose(averages.weighted_averages(thetas, beta=0.9), twin, rtol=1e-10)


def _gradients(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in ((3, 4), (5,), (2, 2, 2))]


@pytest.mark.parametrize("max_norm", [0.5, 3.0, 1e6])
def test_clipping_by_norm_equals_torch_up_to_its_added_millionth(max_norm):
    gradients = _gradients()
    parameters = [torch.zeros(gradient.shape, dtype=torch.float64, requires_grad=True) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    twin_norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm).item()
    clipped, norm = clipping.clip_by_norm(gradients, max_norm)
    assert norm == pytest.approx(twin_norm, rel=1e-12)
    added = norm / (norm + 1e-6) if norm > max_norm else 1.0
    for ours, parameter in zip(clipped, parameters, strict=True):
        assert_allclose(ours * added, parameter.grad.numpy(), rtol=1e-10)


def test_clipping_by_norm_keeps_the_direction_and_ends_at_the_norm():
    gradients = _gradients(1)
    clipped, norm = clipping.clip_by_norm(gradients, 0.25)
    assert np.sqrt(sum((gradient**2).sum() for gradient in clipped)) == pytest.approx(0.25, rel=1e-12)
    assert_allclose(clipped[0] / gradients[0], 0.25 / norm, rtol=1e-12)


def test_a_gradient_of_zero_passes_the_clip():
    clipped, norm = clipping.clip_by_norm([np.zeros(3)], 1.0)
    assert norm == 0.0
    assert clipped[0].tolist() == [0.0, 0.0, 0.0]


def test_clipping_by_value_equals_torch():
    gradients = _gradients(2)
    parameter = torch.zeros(gradients[0].shape, dtype=torch.float64, requires_grad=True)
    parameter.grad = torch.tensor(gradients[0])
    torch.nn.utils.clip_grad_value_([parameter], 0.4)
    assert clipping.clip_by_value(gradients, 0.4)[0].tolist() == parameter.grad.tolist()
