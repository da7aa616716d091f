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
    """Shapes of a convolution in one, two or three dimensions whose kernel fits."""
    num_dims = draw(st.integers(1, 3))
    each = [draw(st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))) for _ in range(num_dims)]
    kernel, padding, stride = zip(*each, strict=True)
    least = [max(1, f - 2 * p) for f, p in zip(kernel, padding, strict=True)]
    size = tuple(draw(st.integers(low, low + 7 - 2 * num_dims)) for low in least)
    batch, channels, filters = (draw(st.integers(1, 3)) for _ in range(3))
    return (batch, channels, *size), (filters, channels, *kernel), stride, padding


@settings(max_examples=90, deadline=None)
@given(layer=layers(), seed=st.integers(0, 2**32 - 1))
def test_convolution_equals_torch_in_value_size_and_gradients_in_one_two_and_three_dimensions(layer, seed):
    input_shape, kernel_shape, stride, padding = layer
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in (input_shape, kernel_shape, kernel_shape[:1])]
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    torchs = (functional.conv1d, functional.conv2d, functional.conv3d)[len(stride) - 1]
    Z = torchs(*tensors, stride=stride, padding=padding)
    dZ = rng.standard_normal(Z.shape)
    Z.backward(torch.tensor(dZ))
    sizes = tuple(map(convolution.output_size, input_shape[2:], kernel_shape[2:], stride, padding))
    assert sizes == tuple(Z.shape[2:])
    ours = convolution.conv_forward(*arrays, stride=stride, padding=padding)
    assert_allclose(ours, Z.detach().numpy(), rtol=1e-10, atol=1e-12)
    gradients = convolution.conv_backward(dZ, arrays[0], arrays[1], stride=stride, padding=padding)
    for gradient, tensor in zip(gradients, tensors, strict=True):
        assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 12), half=st.integers(0, 3), num_dims=st.integers(1, 3))
def test_same_padding_is_torchs_same(size, half, num_dims):
    kernel = 2 * half + 1
    X, W = np.ones((1, 1, *(size,) * num_dims)), np.ones((1, 1, *(kernel,) * num_dims))
    padding = (convolution.same_padding(kernel),) * num_dims
    ours = convolution.conv_forward(X, W, np.zeros(1), stride=(1,) * num_dims, padding=padding)
    torchs = (functional.conv1d, functional.conv2d, functional.conv3d)[num_dims - 1]
    assert_allclose(ours, torchs(torch.from_numpy(X), torch.from_numpy(W), padding="same").numpy(), rtol=1e-12)


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


@pytest.mark.parametrize("num_dims", [1, 2, 3])
def test_a_flipped_kernel_makes_cross_correlation_the_true_convolution(num_dims):
    rng = np.random.default_rng(0)
    signal, kernel = rng.standard_normal((8, 7, 6)[:num_dims]), rng.standard_normal((3, 4, 2)[:num_dims])
    for W, twin in (
        (kernel, scipy.signal.correlate),
        (convolution.flip(kernel, num_dims), scipy.signal.convolve),
    ):
        ours = convolution.conv_forward(
            signal[None, None], W[None, None], np.zeros(1), stride=(1,) * num_dims, padding=(0,) * num_dims
        )[0, 0]
        assert_allclose(ours, twin(signal, kernel, mode="valid", method="direct"), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("num_dims", [1, 2, 3])
def test_true_convolution_equals_scipys_and_is_associative_and_commutative(num_dims):
    rng = np.random.default_rng(1)
    x, a, b = (rng.standard_normal(shape[:num_dims]) for shape in ((6, 5, 4), (3, 2, 3), (2, 4, 1)))
    assert_allclose(convolution.convolve(x, a), scipy.signal.convolve(x, a, method="direct"), rtol=1e-10, atol=1e-12)
    assert_allclose(convolution.convolve(x, a), convolution.convolve(a, x), rtol=1e-10, atol=1e-12)
    one_by_one = convolution.convolve(convolution.convolve(x, a), b)
    assert_allclose(one_by_one, convolution.convolve(x, convolution.convolve(a, b)), rtol=1e-10, atol=1e-12)


def test_cross_correlation_is_not_associative():
    # by hand, "full" as x = [1] between zeros: correlating with [1, 2] leaves it reversed, [2, 1], and so does another
    def correlate(x, w):
        return convolution.convolve(x, convolution.flip(w, 1))

    x, a, b = np.array([1.0]), np.array([1.0, 2.0]), np.array([1.0, 3.0])
    assert correlate(correlate(x, a), b).tolist() == [6, 5, 1]  # (2, 1) then (3, 1)
    assert correlate(x, correlate(a, b)).tolist() == [2, 7, 3]  # of [3, 7, 2], reversed
