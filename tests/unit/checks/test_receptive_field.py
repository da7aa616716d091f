"""Receptive fields: by brute force, pixel after pixel, and by published numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gnomon.checks.feature_maps import stages_in, watching
from gnomon.checks.receptive_field import Field, tracing
from gnomon.core import found as in_models
from gnomon.core.family import PictureInputs, Wanted
from gnomon.nn.depthwise import ConvNorm, SqueezeExcitation


def net(name, side, **own):
    family = in_models.family(name)
    inputs = PictureInputs(3, side, side, (0.0,) * 3, (1.0,) * 3)
    return family.build(Wanted(name, inputs, family.settings(**own), num_outputs=3)).eval()


def made_positive(model):
    """Nothing cancels, nothing is cut off: a pixel that can be seen is seen."""
    model = model.double()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if "bias" in name or "running_mean" in name:
            tensor.data.zero_()
        elif tensor.dtype.is_floating_point and "normalise" not in name:
            tensor.data.abs_().add_(1e-3)
    return model


def seen_by(model, stages, side, places):
    """{(stage, place): (side, side) bool}: the pixels that change a unit there when they alone are raised from zero."""
    black = torch.zeros(1, 3, side, side, dtype=torch.float64)
    rows = {}
    with torch.no_grad(), watching(stages) as maps:
        model(black)
        before = {name: one.clone() for name, one in maps.items()}
        for row in range(side):
            pictures = black.repeat(side, 1, 1, 1)
            pictures[torch.arange(side), :, row, torch.arange(side)] = 1e-2
            model(pictures)
            for stage, place in places:
                changed = maps[stage][:, :, *place] != before[stage][:, :, *place]
                rows.setdefault((stage, place), []).append(changed.any(dim=1))
    return {key: torch.stack(found) for key, found in rows.items()}


def inside(field, side, place):
    top, left, bottom, right = field.window(*place)
    wanted = torch.zeros(side, side, dtype=torch.bool)
    wanted[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return wanted


TINY = nn.Sequential(
    ConvNorm(3, 4, size=5, stride=2, padding="same"), ConvNorm(4, 4, size=3, stride=2, padding="same"),
    nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.ReLU(), nn.AvgPool2d(2, stride=1), nn.Conv2d(4, 2, (1, 3)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "own"),
    [("convnet", {}), ("lenet5", {}), ("signs", {}), ("smile", {}), ("resnet20", {"width": 0.25}),
     ("plain20", {"width": 0.25}), ("airbench", {"width": 0.1}),
     ("googlenet", {"width": 0.1}), ("alexnet", {"width": 0.05}), ("tiny", {})],
)  # fmt: skip
def test_a_place_sees_exactly_the_pixels_that_change_it(name, own):
    side = 19  # odd, so that strides do not divide it
    model = made_positive(TINY.eval() if name == "tiny" else net(name, side, **own))
    stages = {one.name: one for one in stages_in(model, model, torch.zeros(1, 3, side, side, dtype=torch.float64))}
    corners = [
        (name, place) for name, (rows, columns) in ((name, one.places) for name, one in stages.items())
        for place in {(0, 0), (rows // 2, columns // 2), (rows - 1, 0)}
    ]  # fmt: skip
    seen = seen_by(model, [*stages.values()], side, corners)
    assert stages
    for (name, place), pixels in seen.items():
        assert torch.equal(pixels, inside(stages[name].field, side, place)), (name, place)


@pytest.mark.parametrize(
    ("name", "published", "pool"),
    # Araujo et al. 2019, table 1; AlexNet and VGG with their last pool, before which our maps end
    [("alexnet", 195, 2 * 16), ("vgg16", 212, 1 * 16), ("mobilenet-v1", 315, 0)],
)
def test_published_nets_see_as_many_pixels_as_published(name, published, pool):
    model = net(name, 224, width=0.05)
    last = stages_in(model, model, torch.zeros(1, 3, 224, 224))[-1]
    assert last.field.size == (published - pool, published - pool)


def test_gates_that_see_the_whole_picture_are_not_counted():
    # on paper: a convolution 3x3 sees 3x3 pixels; squeeze and excitation scales them, by what it sees everywhere
    model = nn.Sequential(nn.Conv2d(3, 8, 3), SqueezeExcitation(8, 2)).eval()
    picture = torch.zeros(1, 3, 9, 9)
    with torch.no_grad(), tracing(picture) as field_of:
        assert field_of(model(picture)) == Field((1, 1), (0, 0), (2, 2))


def test_what_mixes_all_places_sees_everything():
    picture = torch.zeros(1, 3, 8, 8)
    with torch.no_grad(), tracing(picture) as field_of:
        assert field_of(picture.flip(2)) is None
        assert field_of(nn.functional.interpolate(picture, scale_factor=2)) is None
        assert field_of(picture.mean(dim=(2, 3), keepdim=True)) is None
        assert field_of(picture[:, :1, 2:, ::2]) == Field((1, 2), (2, 0), (2, 0))
