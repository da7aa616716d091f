"""Batch normalisation against torch: training, running averages, prediction."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from gnomon.reference import normalisation

SHAPES = [(8, 5), (4, 5, 3, 6), (2, 5, 7)]


def _drawn(shape):
    rng = np.random.default_rng(0)
    Z = rng.standard_normal(shape) * 3 + 7
    return Z, rng.standard_normal(5), rng.standard_normal(5), rng.standard_normal(5), rng.uniform(0.5, 2, 5), rng


@pytest.mark.parametrize("shape", SHAPES)
def test_training_batch_norm_and_its_running_averages_equal_torch(shape):
    Z, gamma, beta, running_mean, running_variance, rng = _drawn(shape)
    tensors = [torch.tensor(array, requires_grad=True) for array in (Z, gamma, beta)]
    kept = [torch.tensor(running_mean), torch.tensor(running_variance)]
    Y = functional.batch_norm(
        tensors[0], *kept, weight=tensors[1], bias=tensors[2], training=True, momentum=0.1, eps=1e-5
    )
    dY = rng.standard_normal(shape)
    Y.backward(torch.tensor(dY))
    ours, mean, variance = normalisation.batch_norm_train_forward(Z, gamma, beta)
    assert_allclose(ours, Y.detach().numpy(), rtol=1e-9, atol=1e-11)
    for gradient, tensor in zip(normalisation.batch_norm_train_backward(dY, Z, gamma), tensors, strict=True):
        assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-9, atol=1e-11)
    count = Z.size // 5
    running = normalisation.running_statistics(running_mean, running_variance, mean, variance, count=count)
    for ours_kept, twin in zip(running, kept, strict=True):
        assert_allclose(ours_kept, twin.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_predicting_batch_norm_equals_torch(shape):
    Z, gamma, beta, mean, variance, rng = _drawn(shape)
    tensors = [torch.tensor(array, requires_grad=True) for array in (Z, gamma, beta)]
    Y = functional.batch_norm(
        tensors[0], torch.tensor(mean), torch.tensor(variance), weight=tensors[1], bias=tensors[2], training=False
    )
    dY = rng.standard_normal(shape)
    Y.backward(torch.tensor(dY))
    ours = normalisation.batch_norm_eval_forward(Z, gamma, beta, mean, variance)
    assert_allclose(ours, Y.detach().numpy(), rtol=1e-10, atol=1e-12)
    gradients = normalisation.batch_norm_eval_backward(dY, Z, gamma, mean, variance)
    for gradient, tensor in zip(gradients, tensors, strict=True):
        assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_a_normalised_batch_has_mean_beta_and_deviation_gamma():
    Z, gamma, beta, *_ = _drawn((200, 5))
    Y, _, _ = normalisation.batch_norm_train_forward(Z, gamma, beta, epsilon=0.0)
    assert_allclose(Y.mean(axis=0), beta, atol=1e-12)
    assert_allclose(Y.std(axis=0), np.abs(gamma), rtol=1e-12)


def test_a_bias_before_batch_norm_changes_nothing():
    Z, gamma, beta, *_ = _drawn((16, 5))
    shifted, _, _ = normalisation.batch_norm_train_forward(Z + np.arange(5.0), gamma, beta)
    plain, _, _ = normalisation.batch_norm_train_forward(Z, gamma, beta)
    assert_allclose(shifted, plain, atol=1e-12)


def test_at_prediction_an_example_alone_gives_what_it_gives_in_a_batch():
    Z, gamma, beta, mean, variance, _ = _drawn((6, 5))
    together = normalisation.batch_norm_eval_forward(Z, gamma, beta, mean, variance)
    alone = [normalisation.batch_norm_eval_forward(Z[i : i + 1], gamma, beta, mean, variance)[0] for i in range(6)]
    assert together.tolist() == np.array(alone).tolist()


@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 5, 2)])
def test_layer_norm_equals_torch_in_value_and_gradients(shape):
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(size) for size in (shape, shape[1:2], shape[1:2])]
    Z, gamma, beta = (torch.tensor(array, requires_grad=True) for array in arrays)
    if len(shape) == 2:
        Y = functional.layer_norm(Z, shape[1:], gamma, beta)
    else:  # one group of all channels: over C, H and W, with a scale and shift a channel
        Y = functional.group_norm(Z, 1, gamma, beta)
    dY = rng.standard_normal(shape)
    Y.backward(torch.tensor(dY))
    assert_allclose(normalisation.layer_norm_forward(*arrays), Y.detach().numpy(), rtol=1e-9, atol=1e-12)
    gradients = normalisation.layer_norm_backward(dY, arrays[0], arrays[1])
    for gradient, tensor in zip(gradients, (Z, gamma, beta), strict=True):
        assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-8, atol=1e-10)
