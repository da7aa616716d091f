"""EfficientNets against the tables of the paper and arithmetic by hand; the rest is in test_models_backbones.py."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gnomon.models.efficientnet import PLANS
from gnomon.nn.depthwise import ConvNorm, InvertedResidual, SqueezeExcitation, multiple_of_8


def test_the_base_net_has_the_stages_of_the_papers_table_1():
    stages = PLANS["efficientnet-b0"].stages()
    assert [one.channels for one in stages] == [16, 24, 40, 80, 112, 192, 320]
    assert [one.number for one in stages] == [1, 2, 2, 3, 3, 4, 1]
    assert [one.size for one in stages] == [3, 3, 5, 3, 5, 5, 3]


def test_scaling_multiplies_channels_and_blocks_and_rounds_them():
    stages = PLANS[
        "efficientnet-b7"
    ].stages()  # 2.0 times as wide, 3.1 times as deep: 3.1, 6.2, 6.2, 9.3, 9.3, 12.4, 3.1
    assert [one.channels for one in stages] == [32, 48, 80, 160, 224, 384, 640]
    assert [one.number for one in stages] == [4, 7, 7, 10, 10, 13, 4]


def test_lite_nets_scale_neither_their_ends_nor_the_depth_of_the_first_and_last_stage():
    plan = PLANS["efficientnet-lite4"]
    assert (plan.outer(32), plan.outer(1280)) == (32, 1280)
    assert [one.number for one in plan.stages()] == [1, 4, 4, 6, 6, 8, 1]  # 1.8 times 2, 2, 3, 3, 4, rounded up


@pytest.mark.parametrize(
    ("channels", "expected"), [(32, 32), (35.2, 32), (36, 40), (1.0, 8), (11, 16), (12, 16), (17.6, 16), (18, 24)]
)
def test_channels_are_the_nearest_multiple_of_8_but_never_lose_more_than_a_tenth(channels, expected):
    assert multiple_of_8(channels) == expected  # 11: the nearest is 8, which would lose 27 %


@pytest.mark.parametrize(("side", "before", "after"), [(6, 0, 1), (7, 1, 1)])
def test_same_padding_puts_the_odd_zero_at_the_right_and_at_the_bottom(side, before, after):
    layer = ConvNorm(2, 3, size=3, stride=2, activation="none", padding="same").eval()
    x = torch.randn(1, 2, side, side, generator=torch.Generator().manual_seed(0))
    padded = functional.pad(x, (before, after, before, after))
    expected = functional.conv2d(padded, layer.conv.weight, stride=2) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(layer(x), expected)


def test_squeeze_and_excitation_multiplies_each_channel_by_one_number_from_all_means():
    layer = SqueezeExcitation(4, 2)
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    means = x.mean(dim=(2, 3))
    hidden = functional.silu(means @ layer.fc1.weight[:, :, 0, 0].T + layer.fc1.bias)
    factors = torch.sigmoid(hidden @ layer.fc2.weight[:, :, 0, 0].T + layer.fc2.bias)
    torch.testing.assert_close(layer(x), x * factors[:, :, None, None])


def test_stochastic_depth_drops_the_branch_of_whole_examples_and_keeps_its_mean():
    block = InvertedResidual(3, 3, expansion=2, size=3, stride=1, activation="silu", stochastic_depth=0.25)
    whole = InvertedResidual(3, 3, expansion=2, size=3, stride=1, activation="silu")
    whole.load_state_dict(block.state_dict())
    x = torch.randn(400, 3, 4, 4)
    branch, dropped = whole.train()(x) - x, block.train()(x) - x
    is_gone = (dropped == 0).flatten(1).all(dim=1)
    torch.testing.assert_close(dropped[~is_gone], branch[~is_gone] / 0.75, atol=1e-5, rtol=1e-4)
    assert 0.15 < is_gone.float().mean() < 0.35  # 0.25, give or take 4.6 standard errors
    assert torch.equal(block.eval()(x), whole.eval()(x))
