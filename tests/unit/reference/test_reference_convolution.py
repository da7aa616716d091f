"""Convolution and its size arithmetic against torch and scipy."""

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch.nn import functional

from gnomon.reference import convolution


@st.composite
def layers(draw):
    """Shapes of a convolution whose kernel fits."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    least = [max(1, f - 2 * p) for f, p in zip(kernel, padding, strict=True)]
    size = tuple(draw(st.integers(low, low + 5)) for low in least)
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    batch, channels, filters = (draw(st.integers(1, 3)) for _ in range(3))
    return (batch, channels, *size), (filters, channels, *kernel), stride, padding


@settings(max_examples=60, deadline=None)
@given(layer=layers(), seed=st.integers(0, 2**32 - 1))
def test_convolution_equals_torch_in_value_and_gradients(layer, seed):
    input_shape, kernel_shape, stride, padding = layer
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in (input_shape, kernel_shape, kernel_shape[:1])]
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    Z = functional.conv2d(*tensors, stride=stride, padding=padding)
    dZ = rng.standard_normal(Z.shape)
    Z.backward(torch.tensor(dZ))
    ours = convolution.conv2d_forward(*arrays, stride=stride, padding=padding)
    assert_allclose(ours, Z.detach().numpy(), rtol=1e-10, atol=1e-12)
    gradients = convolution.conv2d_backward(dZ, arrays[0], arrays[1], stride=stride, padding=padding)
    for gradient, tensor in zip(gradients, tensors, strict=True):
        assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 40), kernel=st.integers(1, 12), stride=st.integers(1, 6), padding=st.integers(0, 6))
def test_output_size_is_the_number_of_positions_a_kernel_can_take(size, kernel, stride, padding):
    starts = [start for start in range(-padding, size + padding, stride) if start + kernel <= size + padding]
    if starts:
        assert convolution.output_size(size, kernel, stride, padding) == len(starts)
    else:
        with pytest.raises(ValueError, match="does not fit"):
            convolution.output_size(size, kernel, stride, padding)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_same_padding_keeps_the_size(kernel):
    assert convolution.output_size(28, kernel, padding=convolution.same_padding(kernel)) == 28


def test_no_same_padding_for_an_even_kernel():
    with pytest.raises(ValueError, match="even kernel, got 4"):
        convolution.same_padding(4)


def test_a_flipped_kernel_makes_cross_correlation_the_true_convolution():
    rng = np.random.default_rng(0)
    image, kernel = rng.standard_normal((8, 9)), rng.standard_normal((3, 4))
    for W, twin in ((kernel, scipy.signal.correlate2d), (convolution.flip(kernel), scipy.signal.convolve2d)):
        ours = convolution.conv2d_forward(image[None, None], W[None, None], np.zeros(1))[0, 0]
        assert_allclose(ours, twin(image, kernel, mode="valid"), rtol=1e-10, atol=1e-12)


def test_one_dimensional_convolution_is_the_case_of_height_one():
    rng = np.random.default_rng(1)
    X, W, b = rng.standard_normal((2, 3, 11)), rng.standard_normal((4, 3, 5)), rng.standard_normal(4)
    ours = convolution.conv2d_forward(X[:, :, None], W[:, :, None], b, stride=(1, 2), padding=(0, 2))[:, :, 0]
    twin = functional.conv1d(*(torch.tensor(array) for array in (X, W, b)), stride=2, padding=2)
    assert_allclose(ours, twin.numpy(), rtol=1e-10, atol=1e-12)
