"""The feature pyramid: shapes, and that every map it gives depends on every map it takes."""

from __future__ import annotations

import pytest
import torch

from gnomon.nn.pyramid import FeaturePyramid


def some_maps(sides=((9, 13), (5, 7), (3, 4)), channels=(4, 6, 8)):
    rng = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, count, *side, generator=rng, requires_grad=True)
        for count, side in zip(channels, sides, strict=True)
    ]


def test_maps_keep_their_sides_and_all_get_the_width():
    found = FeaturePyramid([4, 6, 8], 16)(some_maps())
    assert [tuple(one.shape) for one in found] == [(2, 16, 9, 13), (2, 16, 5, 7), (2, 16, 3, 4)]


def test_one_map_is_enough():
    (found,) = FeaturePyramid([4], 16)(some_maps()[:1])
    assert found.shape == (2, 16, 9, 13)


def test_maps_of_a_backbone_that_does_not_pad_fit_as_well():
    found = FeaturePyramid([4, 6, 8], 16)(some_maps(sides=((9, 13), (4, 6), (1, 2))))
    assert [tuple(one.shape[2:]) for one in found] == [(9, 13), (4, 6), (1, 2)]


@pytest.mark.parametrize("given", range(3))
@pytest.mark.parametrize("taken", range(3))
def test_every_map_depends_on_every_other(given, taken):
    maps = some_maps()
    FeaturePyramid([4, 6, 8], 16).eval()(maps)[given].square().sum().backward()
    assert maps[taken].grad.abs().sum() > 0
