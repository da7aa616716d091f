"""A spatial softmax says where a channel is active."""

import math

import pytest
import torch

from gnomon.nn.places import PER_CHANNEL, SpatialSoftmax


def _found(maps):
    layer = SpatialSoftmax(maps.shape[1]).double()
    return layer(maps.double()).detach().view(len(maps), PER_CHANNEL, -1)  # x, wide, y, high, mean


def test_one_bright_place_is_found_at_its_middle():
    maps = torch.zeros(1, 1, 4, 8)
    maps[0, 0, 3, 1] = 1000.0
    x, wide, y, high, mean = _found(maps)[0, :, 0].tolist()
    assert (x, y) == pytest.approx((2 * 1.5 / 8 - 1, 2 * 3.5 / 4 - 1))
    assert max(wide, high) == pytest.approx(1e-3)
    assert mean == pytest.approx(1000 / 32)


def test_an_even_map_is_in_the_middle_and_as_wide_as_the_picture():
    x, wide, y, high, mean = _found(torch.full((1, 1, 4, 4), 3.0))[0, :, 0].tolist()
    assert (x, y, mean) == pytest.approx((0, 0, 3))
    # places -3/4, -1/4, 1/4, 3/4: variance (9 + 1) / 32 * 2 ... = 5/16
    assert (wide, high) == pytest.approx((math.sqrt(5 / 16),) * 2)


def test_two_places_are_weighed_by_the_softmax():
    maps = torch.full((1, 1, 1, 4), -1000.0)
    maps[0, 0, 0, 0], maps[0, 0, 0, 3] = math.log(3), 0.0  # 3/4 at -3/4, 1/4 at 3/4
    assert _found(maps)[0, 0, 0].item() == pytest.approx(-3 / 8)


def test_its_gradient_is_that_of_finite_differences():
    maps = torch.randn(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SpatialSoftmax(3).double(), (maps,))
