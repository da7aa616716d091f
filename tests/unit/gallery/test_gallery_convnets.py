"""What the claims about convnets compare: the nets are those that their pages describe, and the method is fair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.gallery import (
    bottleneck,
    depthwise,
    few_pictures,
    learned_filter,
    padding,
    pooling,
    response_normalisation,
    shifted_pictures,
    shrinking,
)
from gnomon.gallery._compared import Plan, compare, cost_and_size
from gnomon.gallery._small_pictures import Pictures, digits

COMPARING = (bottleneck, depthwise, padding, pooling, response_normalisation, shifted_pictures, shrinking)


def _quiet(_share: float, _doing: str) -> None:
    pass


@pytest.fixture(scope="module")
def pictures():
    return digits()


@pytest.mark.parametrize("claim", COMPARING, ids=lambda claim: claim.__name__.rpartition(".")[2])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 29, 30)])
def test_every_net_answers_pictures_of_any_kind(claim, shape):
    few = Pictures("few", torch.rand(4, *shape), torch.arange(4), 4)
    side = shape[1] // 4 * 4
    few = few.resized(side) if claim in (pooling, response_normalisation, shrinking) else few
    for kind in claim.NAMES:
        assert claim.net(kind, few).eval()(few.images).shape == (4, 4)


def test_the_best_rate_is_chosen_on_other_seeds_than_it_is_judged_on(pictures):
    splits = []

    def make(part: Pictures) -> nn.Module:
        splits.append(part.images.sum().item())
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    seen = []
    plan = Plan(train=100, dev=100, epochs=3, rates=(1e-6, 0.1))
    found = compare({"linear": make}, plan, [0, 1], _quiet, pictures, look=lambda name, _net, _dev: seen.append(name))
    assert found.rates == {"linear": 0.1}
    assert seen == ["linear", "linear"]
    assert (found.parameters["linear"], found.multiply_adds["linear"]) == (650, 640)
    assert found.errors["linear"].shape == (2,)
    assert found.dev_costs["linear"].max() < np.log(10)  # it learned something
    tuned, judged = splits[1:7], splits[7:]
    assert (len(judged), set(tuned) & set(judged)) == (2, set())


def test_the_nets_that_shrink_or_are_thin_cost_what_their_rules_say(pictures):
    def cost(claim, kind):
        return cost_and_size(claim.net(kind, pictures), pictures)[0]

    # by hand, 8x8 pixels: 9 * 16 * 64 + 9 * 16 * 32 * 64 + 9 * 32 * 32 * 16 + 2 * 2 * 32 * 10
    assert cost(shrinking, "steps") == 9_216 + 294_912 + 147_456 + 1_280
    assert cost(depthwise, "thin") == pytest.approx(cost(depthwise, "separable"), rel=0.1)
    assert cost(bottleneck, "full") == 64 * (9 * 96 + 25 * 96 * 32) + 1_280


def test_a_shifted_picture_is_moved_as_a_whole(pictures):
    framed = torch.nn.functional.pad(pictures.images[:3], (4,) * 4)
    few = Pictures("few", framed, pictures.labels[:3], 10)
    moved = shifted_pictures.shifted(few, 2, -3).images
    assert torch.equal(moved[:, :, 6:14, 1:9], pictures.images[:3])
    assert moved.sum() == framed.sum()


def test_what_is_pooled_everywhere_does_not_notice_a_shift(pictures):
    torch.manual_seed(0)
    framed = torch.nn.functional.pad(pictures.images[:5], (8,) * 4)
    few = Pictures("few", framed, pictures.labels[:5], 10)
    net = shifted_pictures.net("everywhere", few).eval()
    moved = shifted_pictures.shifted(few, 2, 1)
    with torch.no_grad():
        torch.testing.assert_close(net(moved.images), net(few.images), rtol=1e-4, atol=1e-5)
        other = shifted_pictures.net("none", few).eval()
        assert (other(moved.images) - other(few.images)).abs().max() > 1e-3


def test_sobels_numbers_are_learned_from_pictures_and_their_edges(pictures):
    sobel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    for noise, near in ((0.0, 0.01), (0.5, 0.1)):
        assert np.abs(learned_filter.learned(sobel, noise, 0, pictures) - sobel).max() < near


def test_a_rule_about_few_pictures_has_its_sizes():
    assert {few_pictures.FEW, 2 * few_pictures.FEW, few_pictures.MANY} <= set(few_pictures.SIZES)
