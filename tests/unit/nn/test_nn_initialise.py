"""Starting weights against the formulas of the schemes."""

import math

import pytest
import torch
from torch import nn

from gnomon.core.errors import UsageError
from gnomon.models.convnet import convnet
from gnomon.nn.initialise import HEAD_SCALE, initialise

STD = {  # for n_in = 200 inputs and n_out = 300 outputs
    "zeros": 0.0,
    "small": 0.01,
    "xavier": math.sqrt(1 / 200),
    "glorot": math.sqrt(2 / 500),
    "he": math.sqrt(2 / 200),
}


def start(model, scheme, seed=0):
    initialise(model, scheme, torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize("scheme", STD)
def test_the_spread_of_a_dense_layer_is_the_formula_of_its_scheme(scheme):
    layer = start(nn.Linear(200, 300), scheme)
    assert layer.weight.std().item() == pytest.approx(STD[scheme], rel=0.02)
    assert layer.weight.mean().abs().item() <= 4 * STD[scheme] / math.sqrt(200 * 300)
    assert not layer.bias.any()


def test_a_filter_counts_its_channels_times_its_area():
    # 3x3 over 16 channels: 144 inputs; 64 filters of area 9: 576 outputs
    conv = nn.Conv2d(16, 64, 3)
    assert start(conv, "he").weight.std().item() == pytest.approx(math.sqrt(2 / 144), rel=0.03)
    assert start(conv, "glorot").weight.std().item() == pytest.approx(math.sqrt(2 / (144 + 576)), rel=0.03)


def test_a_depthwise_filter_sees_one_channel():
    conv = start(nn.Conv2d(512, 512, 3, groups=512), "he")
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / 9), rel=0.05)


def test_an_embedding_row_has_one_input():
    assert start(nn.Embedding(500, 40), "xavier").weight.std().item() == pytest.approx(1.0, rel=0.03)


def test_he_keeps_the_signal_through_fifty_relu_layers_and_small_loses_it():
    layers = [module for _ in range(50) for module in (nn.Linear(256, 256), nn.ReLU())]
    model = nn.Sequential(*layers)
    x = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        kept = start(model, "he")(x).square().mean().item()
        lost = start(model, "small")(x).square().mean().item()
    assert 0.05 < kept < 20  # the mean square of the input is 1
    assert lost < 1e-40 or lost == 0  # (0.01^2 * 256 / 2)^50 = 1e-95 in exact arithmetic


def test_normalisation_layers_start_as_the_identity():
    model = nn.Sequential(nn.BatchNorm2d(4), nn.LayerNorm(4))
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    start(model, "he")
    assert [parameter.tolist() for parameter in model.parameters()] == [[1] * 4, [0] * 4] * 2


def test_the_head_starts_small():
    model = nn.Sequential()
    model.add_module("head", nn.Linear(200, 300))
    assert start(model, "he").head.weight.std().item() == pytest.approx(HEAD_SCALE * STD["he"], rel=0.02)


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_the_first_loss_is_that_of_a_uniform_guess(num_classes):
    model = convnet(
        1, num_classes, image_size=(16, 16), channels=(16, 32), hidden=(64,), mean=(0.5,), std=(0.29,)
    )  # uniform noise has mean 1/2 and std sqrt(1/12)
    start(model, "he")
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (64, 1, 16, 16), dtype=torch.uint8, generator=generator)
    target = torch.randint(0, num_classes, (64,), generator=generator)
    loss = nn.functional.cross_entropy(model(images), target).item()
    assert loss == pytest.approx(math.log(num_classes), rel=0.05)


def test_same_seed_same_weights_and_torchs_own_generator_is_left_alone():
    before = torch.get_rng_state()
    first, second, third = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
    torch.set_rng_state(before)
    start(first, "he", seed=3), start(second, "he", seed=3), start(third, "he", seed=4)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, third.weight)
    assert torch.equal(torch.get_rng_state(), before)


def test_channels_last_draws_the_same_weights():
    plain, last = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    assert torch.equal(start(plain, "he").weight, start(last, "he").weight)


def test_an_unknown_scheme_is_refused_by_name():
    with pytest.raises(UsageError, match=r"'orthogonal'.*use zeros, small, xavier, glorot or he"):
        start(nn.Linear(2, 2), "orthogonal")
