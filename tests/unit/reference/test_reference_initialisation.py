"""Initialisation schemes against torch.nn.init and against what they promise."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from gnomon.reference.activations import relu, tanh
from gnomon.reference.initialisation import draw_weights, fan_in_and_out, weight_variance


@pytest.mark.parametrize("shape", [(7, 11), (6, 3, 5, 2)])
@pytest.mark.parametrize(
    ("scheme", "twin"),
    [
        ("he", lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu")),
        ("xavier", lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear")),
        ("glorot", torch.nn.init.xavier_normal_),
    ],
)
def test_variance_equals_what_torch_scales_its_normal_draws_by(scheme, twin, shape):
    torch.manual_seed(0)
    standard = torch.empty(shape, dtype=torch.float64).normal_()
    torch.manual_seed(0)
    scaled = twin(torch.empty(shape, dtype=torch.float64))
    variance = weight_variance(scheme, *fan_in_and_out(shape))
    assert_allclose(np.sqrt(variance) * standard.numpy(), scaled.numpy(), rtol=1e-10)


def test_he_keeps_the_mean_square_through_thirty_relu_layers_and_small_loses_it():
    rng = np.random.default_rng(0)
    start = rng.standard_normal((200, 256))
    mean_square = {}
    for scheme in ("he", "small"):
        A = start
        for _ in range(30):
            A = relu(A @ draw_weights((256, 256), scheme, rng).T)
        mean_square[scheme] = (A**2).mean()
    # E[a^2] stays 1/2 * 2 = 1 layer by layer under He; 0.01 multiplies it by 256 * 1e-4 / 2 = 0.0128 a layer
    assert 0.2 < mean_square["he"] < 5
    assert mean_square["small"] < 1e-50


def test_all_units_stay_alike_when_weights_start_at_zero():
    A = tanh(
        np.random.default_rng(0).standard_normal((4, 6)) @ draw_weights((5, 6), "zeros", np.random.default_rng(0)).T
    )
    assert (A[:, :1] == A).all()
