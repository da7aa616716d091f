"""Pooling against torch, values and gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch.nn import functional

from gnomon.reference import pooling

KINDS = {
    "max": (pooling.max_pool2d_forward, pooling.max_pool2d_backward, functional.max_pool2d),
    "average": (pooling.average_pool2d_forward, pooling.average_pool2d_backward, functional.avg_pool2d),
}


@st.composite
def windows(draw):
    """Shapes of a pooling layer whose window fits; torch allows padding up to half the window."""
    size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, f // 2)) for f in size)
    shape = tuple(draw(st.integers(f, f + 5)) for f in size)
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *shape), size, stride, padding


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(layer=windows(), seed=st.integers(0, 2**32 - 1), has_ties=st.booleans())
def test_pooling_equals_torch_in_value_and_gradient(kind, layer, seed, has_ties):
    forward, backward, twin = KINDS[kind]
    shape, size, stride, padding = layer
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 2, shape).astype(float) if has_ties else rng.standard_normal(shape)
    x = torch.tensor(X, requires_grad=True)
    Z = twin(x, size, stride=stride, padding=padding)
    dZ = rng.standard_normal(Z.shape)
    Z.backward(torch.tensor(dZ))
    assert_allclose(forward(X, size, stride=stride, padding=padding), Z.detach().numpy(), rtol=1e-10, atol=1e-12)
    ours = backward(dZ, X, size, stride=stride, padding=padding)
    assert_allclose(ours, x.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_among_equal_entries_the_first_one_gets_the_gradient():
    dX = pooling.max_pool2d_backward(np.ones((1, 1, 1, 1)), np.zeros((1, 1, 2, 2)), (2, 2), stride=(2, 2))
    assert dX[0, 0].tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_a_padded_cell_is_never_the_largest():
    X = np.full((1, 1, 2, 2), -5.0)
    assert (pooling.max_pool2d_forward(X, (2, 2), stride=(1, 1), padding=(1, 1)) == -5.0).all()
