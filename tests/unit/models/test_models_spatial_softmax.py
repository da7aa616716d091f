"""The net with a spatial softmax: its size, what it sees, and that places go through it."""

import pytest
import torch

from gnomon.core.family import PictureInputs
from gnomon.models.spatial_softmax import spatial_softmax


def _inputs(height, width, channels=3):
    return PictureInputs(channels, height, width, (0.5,) * channels, (0.25,) * channels)


def test_it_has_as_many_parameters_as_its_layers_say():
    net = spatial_softmax(_inputs(64, 64), 16, width=1.0)
    convolutions = 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 64 + 64 * 64 + 64 * 64) + 64
    norms = 2 * (16 + 32 + 64 + 64 + 64)
    head = 16 * (5 * 64) + 16
    assert sum(p.numel() for p in net.parameters()) == convolutions + norms + 64 + head  # 64: how sharp


@pytest.mark.parametrize(("height", "width", "side"), [(12, 12, 12), (32, 32, 16), (96, 64, 16), (320, 256, 16)])
def test_pictures_are_pooled_down_to_about_sixteen_places_a_side(height, width, side):
    net = spatial_softmax(_inputs(height, width), 4, width=0.25).eval()
    seen = []
    net.looked_for.register_forward_hook(lambda _module, _inputs, output: seen.append(min(output.shape[2:])))
    assert net(torch.zeros(2, 3, height, width, dtype=torch.uint8)).shape == (2, 4)
    assert side <= seen[0] < 2 * side
