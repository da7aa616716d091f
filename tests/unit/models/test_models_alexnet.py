"""AlexNet as published, written out from the paper; the one-tower net is in test_models_backbones.py."""

from __future__ import annotations

import torch
from torch.nn import functional

from gnomon.core.family import PictureInputs
from gnomon.models.alexnet import PLANS, alexnet

INPUTS = PictureInputs(3, 224, 224, (0.5,) * 3, (0.25,) * 3)


def test_parameters_of_the_published_net_are_those_counted_from_the_paper():
    counted = (  # weights of a filter times filters, and biases: section 3.5; two groups halve what a filter sees
        (11 * 11 * 3 + 1) * 96
        + (5 * 5 * 48 + 1) * 256
        + (3 * 3 * 256 + 1) * 384
        + (3 * 3 * 192 + 1) * 384
        + (3 * 3 * 192 + 1) * 256
        + (6 * 6 * 256 + 1) * 4096
        + (4096 + 1) * 4096
        + (4096 + 1) * 1000
    )
    with torch.device("meta"):
        model = alexnet(PLANS["alexnet-2012"], INPUTS, 1000, width=1.0, dropout=())
    assert counted == 60_965_224  # "60 million parameters"
    assert sum(p.numel() for p in model.parameters()) == counted


def test_the_published_net_is_two_towers_that_meet_in_the_third_convolution():
    torch.manual_seed(0)
    model = alexnet(PLANS["alexnet-2012"], INPUTS, 10, width=1 / 16, dropout=()).double().eval()
    pictures = torch.rand(2, 3, 224, 224, dtype=torch.float64)
    weights = model.state_dict()

    def convolved(towers, name, **options):
        """Each tower by its half of the filters."""
        kernels, biases = (weights[f"{name}.{part}"].chunk(len(towers)) for part in ("weight", "bias"))
        pairs = zip(towers, kernels, biases, strict=True)
        return [functional.conv2d(x, kernel, bias, **options).clamp(min=0) for x, kernel, bias in pairs]

    def responses(towers):
        """Equation of section 3.3 over the five nearest of all channels."""
        x = torch.cat(towers, dim=1)
        squares = functional.pad(x.square(), (0, 0, 0, 0, 2, 2))
        sums = sum(squares[:, i : i + x.shape[1]] for i in range(5))
        return list((x / (2 + 1e-4 * sums) ** 0.75).chunk(2, dim=1))

    def pooled(towers):
        return [functional.max_pool2d(x, 3, 2) for x in towers]

    x = responses(convolved([(pictures - 0.5) / 0.25], "conv1", stride=4, padding=2))
    x = responses(convolved(pooled(x), "conv2", padding=2))
    x = convolved([torch.cat(pooled(x), dim=1)], "conv3", padding=1)[0].chunk(2, dim=1)
    x = pooled(convolved(convolved(x, "conv4", padding=1), "conv5", padding=1))
    units = torch.cat(x, dim=1).flatten(1)
    for name in ("dense1.linear", "dense2.linear"):
        units = functional.linear(units, weights[f"{name}.weight"], weights[f"{name}.bias"]).clamp(min=0)
    expected = functional.linear(units, weights["head.weight"], weights["head.bias"])
    assert x[0].shape[2:] == (6, 6)
    torch.testing.assert_close(model(pictures), expected)
