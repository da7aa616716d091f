"""Signals of the layers against numbers taken by hand; sick nets are named, healthy ones are not, no trace is left."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from gnomon.checks.signals import layer_signals
from gnomon.core.layer_signals import findings
from gnomon.core.settings import OptimiserSettings, RegulariseSettings
from gnomon.models.convnet import convnet
from gnomon.models.dense import dense_image
from gnomon.nn.initialise import initialise
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser

CPU = torch.device("cpu")


def pictures(num=128, side=8, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(num, 1, side, side, generator=draw), torch.randint(0, 10, (num,), generator=draw)


def loss_on(images, target):
    return lambda model: functional.cross_entropy(model(images), target)


def signals_of(model, images, target, *, name="adam", rate=1e-3):
    optimiser = Optimiser(
        FlatParameters(model), OptimiserSettings(name=name), RegulariseSettings(weight_decay=0.0), len(images)
    )
    return layer_signals(model, loss_on(images, target), lambda: optimiser.step(rate), device=CPU)


def fifty_layers(activation, *, std=None, scheme="xavier", scale=1.0, normalisation="none"):
    """A dense net of fifty hidden layers of 64 units; weights from a scheme, or N(0, std²) without regard to n_in."""
    model = dense_image(
        64, 10, hidden=(64,) * 50, mean=(0.5,), std=(0.29,), activation=activation, normalisation=normalisation
    )
    draw = torch.Generator().manual_seed(0)
    initialise(model, scheme, draw, scale=scale)
    if std is not None:
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.Linear):
                    module.weight.copy_(std * torch.randn(module.weight.shape, generator=draw))
    return model


def test_every_signal_equals_the_one_computed_by_hand():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    initialise(model, "he", torch.Generator().manual_seed(1))
    with torch.no_grad():
        model[0].bias[:] = torch.tensor([-100.0, -100.0, 1.0, 1.0])  # two dead units of four
        model[2].weight.mul_(100.0)
    model = model.double()
    x = torch.rand(32, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    target = torch.arange(32) % 2
    first, second, third = signals_of(model, x, target, name="sgd", rate=0.1)

    hidden = model[1](model[0](x))
    squashed = model[3](model[2](hidden))
    weights = [model[i].weight for i in (0, 2, 4)]
    gradients = torch.autograd.grad(functional.cross_entropy(model(x), target), weights)
    assert [one.layer for one in (first, second, third)] == ["0", "2", "4"]
    assert first.mean == pytest.approx(hidden.mean().item())
    assert first.std == pytest.approx(hidden.std(correction=0).item())
    assert first.dead == 0.5
    assert second.dead is None
    assert second.saturated == pytest.approx((squashed.abs() > 0.97).float().mean().item())
    assert second.saturated > 0.5
    assert third.std == pytest.approx(model[4](squashed).std(correction=0).item())
    for signal, weight, gradient in zip((first, second, third), weights, gradients, strict=True):
        assert signal.gradient == pytest.approx(gradient.norm().item(), rel=1e-5)
        # sgd moves by rate times gradient
        assert signal.update_ratio == pytest.approx((0.1 * gradient.norm() / weight.norm()).item(), rel=1e-4)


def test_measuring_has_no_side_effects():
    model = convnet(1, 10, image_size=(8, 8), channels=(4, 8), hidden=(16,), mean=(0.5,), std=(0.3,), dropout=(0.5,),
                    normalisation="batch").to(memory_format=torch.channels_last)  # fmt: skip
    images, target = pictures()
    optimiser = Optimiser(FlatParameters(model), OptimiserSettings(name="adam"), RegulariseSettings(), len(images))
    model.eval()
    model[1].train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state()
    first = layer_signals(model, loss_on(images, target), lambda: optimiser.step(0.1), device=CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(random, torch.get_rng_state())
    assert not any(gradient.any() for gradient in optimiser.parameters.gradients)
    optimiser.load({name: torch.zeros_like(tensor) for name, tensor in optimiser.tensors().items()})
    assert layer_signals(model, loss_on(images, target), lambda: optimiser.step(0.1), device=CPU) == first


def test_dropout_is_off_while_measuring_and_batch_norm_uses_batch_statistics():
    def looked(dropout):
        model = convnet(1, 10, image_size=(8, 8), channels=(4,), hidden=(16,), mean=(0.5,), std=(0.3,),
                        dropout=(dropout,), normalisation="batch")  # fmt: skip
        initialise(model, "he", torch.Generator().manual_seed(0))
        return signals_of(model, *pictures()), model

    with_dropout, model = looked(0.9)
    assert with_dropout == looked(0.0)[0]
    images, _ = pictures()
    model.train()
    model.dense1.dropout.eval()
    assert with_dropout[0].std == pytest.approx(
        model.stage1(model.normalise(images)).std(correction=0).item(), rel=1e-5
    )


def test_layers_are_named_after_the_layer_table():
    model = convnet(1, 10, image_size=(8, 8), channels=(4,), hidden=(16,), mean=(0.5,), std=(0.3,))
    assert [one.layer for one in signals_of(model, *pictures())] == ["stage1.conv", "dense1.linear", "head"]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ({"std": 2.0}, {"saturated", "exploding"}),
        ({"scale": 2.0}, {"exploding"}),
        ({"std": 0.01}, {"vanishing"}),
        ({"scale": 0.01}, {"vanishing"}),
        ({"scheme": "small"}, {"vanishing"}),
    ],
    ids=["std 2", "scale 2", "std 0.01", "scale 0.01", "small"],
)
def test_a_tanh_net_of_fifty_layers_that_starts_too_large_or_too_small_is_named(start, expected):
    found = findings(signals_of(fifty_layers("tanh", **start), *pictures()))
    assert expected <= {finding.trouble for finding in found}
    assert found[0].layers


@pytest.mark.parametrize(
    ("activation", "start"),
    [("tanh", {"scheme": "xavier"}), ("relu", {"scheme": "he"}), ("relu", {"scheme": "he", "normalisation": "layer"})],
    ids=str,
)
def test_fifty_layers_with_the_right_scheme_raise_no_alarm(activation, start):
    assert findings(signals_of(fifty_layers(activation, **start), *pictures())) == ()


def test_fifty_sigmoid_layers_vanish_whatever_the_scheme():
    found = findings(signals_of(fifty_layers("sigmoid", scheme="glorot"), *pictures()))
    assert "vanishing" in {finding.trouble for finding in found}


def test_units_pushed_below_zero_are_dead():
    model = dense_image(64, 10, hidden=(32, 32), mean=(0.5,), std=(0.29,))
    initialise(model, "he", torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.dense1.linear.bias[:28] = -50.0
    (found,) = findings(signals_of(model, *pictures()))
    assert (found.trouble, found.layers) == ("dead", ("dense1.linear",))


def test_a_rate_a_thousand_times_too_high_is_named():
    model = dense_image(64, 10, hidden=(32, 32), mean=(0.5,), std=(0.29,))
    initialise(model, "he", torch.Generator().manual_seed(0))
    images, target = pictures()
    assert findings(signals_of(model, images, target, rate=1e-3)) == ()
    assert {finding.trouble for finding in findings(signals_of(model, images, target, rate=1.0))} == {"rate too high"}
    assert {finding.trouble for finding in findings(signals_of(model, images, target, rate=1e-9))} == {"rate too low"}


def test_a_model_without_weights_of_its_own_layers_has_no_signals():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(10, 64))

        def forward(self, images):
            return images.flatten(1) @ self.factor.T

    assert signals_of(Scale(), *pictures()) == []
