"""Activation, normalisation and starting scale, layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, TableInputs, Wanted
from gnomon.core.settings import from_flat
from gnomon.nn.blocks import conv_block, dense_block
from gnomon.nn.initialise import HEAD_SCALE, initialise
from gnomon.reference.normalisation import layer_norm_forward


def built(inputs, num_outputs, settings):
    model = from_flat(settings).model
    family = found.family(model.name)
    return family.build(Wanted(model.name, inputs, family.settings.model_validate(model.own), (), num_outputs))


def picture_model(**settings):
    return built(PictureInputs(1, 16, 16, (0.5,), (0.3,)), 10, settings)


def activations_of(model):
    return [type(module) for module in model.modules() if type(module) in (nn.ReLU, nn.Tanh, nn.Sigmoid)]


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "convnet", "channels": (4, 8), "hidden": (16, 16), "activation": "tanh,relu,sigmoid,relu"},
        {"model": "lenet5", "activation": "tanh,relu,sigmoid,relu"},
        {"model": "dense", "hidden": (8, 8, 8, 8), "activation": "tanh,relu,sigmoid,relu"},
    ],
    ids=lambda settings: settings["model"],
)
def test_each_hidden_layer_gets_the_activation_of_its_place(settings):
    model = picture_model(**settings)
    assert activations_of(model) == [nn.Tanh, nn.ReLU, nn.Sigmoid, nn.ReLU]
    assert model(torch.rand(2, 1, 16, 16)).shape == (2, 10)


def test_one_activation_counts_for_all_layers_and_a_wrong_number_is_refused():
    assert activations_of(picture_model(model="lenet5", activation="tanh")) == [nn.Tanh] * 4
    with pytest.raises(UsageError, match="activation has 3 values for 4 hidden layers"):
        picture_model(model="lenet5", activation="tanh,relu,tanh")
    with pytest.raises(UsageError, match="activation has 2 values for 1 hidden layers"):
        built(TableInputs(3), 1, {"model": "dense", "hidden": 8, "activation": "relu,tanh"})


def test_layer_norm_of_a_dense_block_equals_the_equation():
    block = dense_block(4, 6, activation_name="relu", dropout=0.0, normalisation="layer").double()
    x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        block.norm.weight.copy_(torch.arange(1.0, 7.0))
        block.norm.bias.copy_(torch.arange(6.0))
    expected = layer_norm_forward(
        block.linear(x).detach().numpy(), block.norm.weight.detach().numpy(), block.norm.bias.detach().numpy()
    )
    torch.testing.assert_close(block.norm(block.linear(x)).detach(), torch.from_numpy(expected))


def test_layer_norm_of_a_convolution_equals_the_equation_over_channels_and_pixels():
    block = conv_block(3, 4, size=3, padding=1, pool=2, activation_name="relu", normalisation="layer").double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        block.norm.weight.copy_(torch.arange(1.0, 5.0))
    pooled = block.pool(block.conv(x)).detach()
    expected = layer_norm_forward(pooled.numpy(), block.norm.weight.detach().numpy(), block.norm.bias.detach().numpy())
    torch.testing.assert_close(block.norm(pooled).detach(), torch.from_numpy(expected))


def test_with_layer_norm_an_example_is_answered_alone_as_in_a_batch_in_training_too():
    model = picture_model(model="convnet", channels=(4, 8), hidden=(16,), normalisation="layer").train()
    x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(x)[2:3], model(x[2:3]))


def test_the_scale_multiplies_every_start_but_the_last_layers():
    def spreads(scale):
        model = picture_model(model="dense", hidden=(64, 64))
        initialise(model, "xavier", torch.Generator().manual_seed(0), scale=scale)
        return [module.weight.std().item() for module in model.modules() if isinstance(module, nn.Linear)]

    plain, doubled = spreads(1.0), spreads(2.0)
    assert doubled == pytest.approx([2 * plain[0], 2 * plain[1], plain[2]])
    assert plain[2] == pytest.approx(HEAD_SCALE / 8, rel=0.1)
