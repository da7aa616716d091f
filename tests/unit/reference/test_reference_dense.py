"""The dense layer against torch and pencil."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from gnomon.reference.dense import dense_backward, dense_forward

SIZES = st.integers(1, 7)


@settings(max_examples=30, deadline=None)
@given(batch=SIZES, n_in=SIZES, n_out=SIZES, seed=st.integers(0, 2**32 - 1))
def test_dense_layer_equals_torch_in_value_and_gradients(batch, n_in, n_out, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in [(batch, n_in), (n_out, n_in), (n_out,)]]
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    dZ = rng.standard_normal((batch, n_out))
    Z = torch.nn.functional.linear(*tensors)
    Z.backward(torch.tensor(dZ))
    assert_allclose(dense_forward(*arrays), Z.detach().numpy(), rtol=1e-10, atol=1e-12)
    for ours, tensor in zip(dense_backward(dZ, arrays[0], arrays[1]), tensors, strict=True):
        assert_allclose(ours, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_dense_layer_computes_what_pencil_computes():
    # [1 2] times the rows [3 4] and [5 6], plus [10 20]: 3 + 8 + 10 = 21, 5 + 12 + 20 = 37
    Z = dense_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([10.0, 20.0]))
    assert Z.tolist() == [[21.0, 37.0]]
