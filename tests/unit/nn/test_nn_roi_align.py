"""RoI align against a loop over every point of every bin, and on a ramp, whose values are known everywhere."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gnomon.nn.deltas import LARGEST, clipped, from_deltas, to_deltas
from gnomon.nn.roi_align import roi_align


def value(plane: Tensor, y: float, x: float) -> float:
    """One channel (H, W), bilinearly, at a place in units of the map."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = (1 - across) * plane[top, left] + across * plane[top, right]
    lower = (1 - across) * plane[bottom, left] + across * plane[bottom, right]
    return float((1 - down) * upper + down * lower)


def one_by_one(maps: Tensor, boxes: Tensor, stride: int, size: int, samples: int) -> Tensor:
    found = torch.zeros(*boxes.shape[:2], maps.shape[1], size, size, dtype=maps.dtype)
    for picture, number, channel, row, column in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        left, top, right, bottom = (boxes[picture, number] / stride - 0.5).tolist()
        step_y, step_x = (bottom - top) / size / samples, (right - left) / size / samples
        total = 0.0
        for i in range(samples):
            for j in range(samples):
                y = top + (row * samples + i + 0.5) * step_y
                x = left + (column * samples + j + 0.5) * step_x
                total += value(maps[picture, channel], y, x)
        found[picture, number, channel, row, column] = total / samples**2
    return found


@pytest.mark.parametrize(("size", "samples"), [(2, 2), (3, 1)])
def test_every_bin_is_the_mean_of_its_points_also_at_and_beyond_the_border(size, samples):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 5, 7, generator=generator, dtype=torch.float64)
    corner = torch.rand(2, 6, 2, generator=generator, dtype=torch.float64) * 50 - 10
    boxes = torch.cat([corner, corner + torch.rand(2, 6, 2, generator=generator, dtype=torch.float64) * 40], 2)
    boxes[0, 0] = torch.tensor([-90.0, -90.0, 90.0, 90.0])  # whose first bin lies more than a place outside
    expected = one_by_one(maps, boxes, 8, size, samples)
    assert (expected[0, 0] == 0).any()
    torch.testing.assert_close(roi_align(maps, boxes, stride=8, size=size, samples=samples), expected)


def test_a_piece_of_a_ramp_has_the_ramps_value_in_the_middle_of_each_bin():
    y, x = torch.meshgrid(torch.arange(12) * 4.0 + 2, torch.arange(16) * 4.0 + 2, indexing="ij")  # pixels
    ramp = (3 * x - 2 * y + 5)[None, None]
    box = torch.tensor([[[10.0, 8.0, 31.0, 36.0]]])  # bins of 3x4 pixels
    middle_x, middle_y = 10 + 3 * (torch.arange(7) + 0.5), 8 + 4 * (torch.arange(7) + 0.5)
    expected = 3 * middle_x[None, :] - 2 * middle_y[:, None] + 5
    torch.testing.assert_close(roi_align(ramp, box, stride=4, size=7)[0, 0, 0], expected)


def test_gradients_reach_the_map():
    maps = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[[3.0, 5.0, 21.0, 26.0], [-4.0, 0.0, 9.0, 40.0]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: roi_align(x, boxes, stride=8, size=2), (maps,))


def test_deltas_are_those_of_the_paper_and_lead_back_to_the_box():
    anchor = torch.tensor([10.0, 20.0, 30.0, 60.0])  # middle 20, 40; 20x40
    box = torch.tensor([25.0, 30.0, 35.0, 70.0])  # middle 30, 50; 10x40
    expected = torch.tensor([0.5, 0.25, math.log(0.5), 0.0])
    torch.testing.assert_close(to_deltas(box, anchor), expected)
    torch.testing.assert_close(from_deltas(expected, anchor), box)


def test_a_stretch_has_a_limit_and_a_box_ends_with_the_picture():
    anchor = torch.tensor([0.0, 0.0, 16.0, 16.0])
    far = from_deltas(torch.tensor([0.0, 0.0, 50.0, LARGEST]), anchor)
    assert far.tolist() == pytest.approx([-492, -492, 508, 508])  # 16 pixels times 62.5
    assert clipped(far, 320, 256).tolist() == [0, 0, 320, 256]
