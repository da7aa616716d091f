"""What the claims about convnets compare: the nets are those that their pages describe, and the method is fair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.gallery import (
    bottleneck,
    few_pictures,
    learned_filter,
    padding,
    pooling,
    shrinking,
)
from gnomon.gallery._compared import Plan, compare, cost_and_size
from gnomon.gallery._small_pictures import Pictures, digits

COMPARING = (bottleneck, padding, pooling, shrinking)


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
    few = few.resized(side) if claim in (pooling, shrinking) else few
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
    assert cost(bottleneck, "full") == 64 * (9 * 96 + 25 * 96 * 32) + 1_280


def test_sobels_numbers_are_learned_from_pictures_and_their_edges(pictures):
    sobel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    for noise, near in ((0.0, 0.01), (0.5, 0.1)):
        assert np.abs(learned_filter.learned(sobel, noise, 0, pictures) - sobel).max() < near


def test_a_rule_about_few_pictures_has_its_sizes():
    assert {few_pictures.FEW, 2 * few_pictures.FEW, few_pictures.MANY} <= set(few_pictures.SIZES)
