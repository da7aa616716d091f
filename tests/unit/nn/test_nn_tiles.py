"""Tiles give what the whole picture gives, and no tile is smaller than what a pixel sees."""

from __future__ import annotations

import pytest
import torch

from gnomon.checks.receptive_field import tracing
from gnomon.core import found
from gnomon.core.family import PictureInputs, Wanted
from gnomon.nn.initialise import initialise
from gnomon.nn.tiles import Tiled

INPUTS = PictureInputs(1, 64, 64, (0.4,), (0.25,))


def model(name="unet", **own):
    family = found.family(name)
    torch.manual_seed(0)
    net = family.build(Wanted(name, INPUTS, family.settings.model_validate(own), (), 3)).eval()
    initialise(net, "he", torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.head.weight.mul_(30)  # logits of usual size
    return net


def reach(net):
    """Pixels left, up, right and down of a pixel that its answer depends on, by following every operation."""
    picture = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    with torch.no_grad(), tracing(picture) as field_of:
        field = field_of(net(picture))
    assert field.stride == (1, 1)
    return max(-field.low[0], -field.low[1], *field.high)


@pytest.mark.parametrize(
    "own",
    [
        {"padding": "same", "upsampling": "transposed"},
        {"padding": "same", "upsampling": "resized"},
        {"padding": "valid", "upsampling": "transposed"},
    ],
)
@pytest.mark.parametrize("size", [(416, 352), (401, 371)])
def test_tiles_of_a_unet_give_the_answer_of_the_whole_picture(own, size):
    net = model(width=1 / 16, **own)
    picture = torch.randint(0, 256, (1, 1, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    margin = reach(net)
    tiled = Tiled(net, margin, 16, side=2 * (-(-margin // 16) * 16) + 64)
    assert len(list(tiled.spans(size[0]))) > 1
    with torch.no_grad():
        torch.testing.assert_close(tiled(picture), net(picture), atol=1e-4, rtol=1e-4)
        short = Tiled(net, 16, 16, side=160)(picture)  # without the overlap that it takes, the seams show
        seam = float((short - net(picture)).abs().max())
    assert seam > 1e-2


def test_tiles_of_a_segmenter_give_the_answer_of_the_whole_picture():
    net = model("segmenter", backbone="resnet20", width=0.25)
    picture = torch.randint(0, 256, (1, 1, 200, 230), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    margin = reach(net)
    with torch.no_grad():
        torch.testing.assert_close(Tiled(net, margin, 32, side=192)(picture), net(picture), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("upsampling", ["transposed", "resized"])
def test_what_a_pixel_of_a_unet_sees_is_what_changes_its_answer(upsampling):
    # published: 572 pixels in for 388 out, 92 on each side; pooling and the way up let neighbours see a little less
    net = model(width=1 / 16, normalisation="none", upsampling=upsampling)
    margin = reach(net)
    assert 92 <= margin <= 92 + 16 + (15 if upsampling == "resized" else 0)
    picture = torch.randint(0, 256, (1, 1, 512, 512), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    other = picture.clone()
    other[:, :, 240:272, 240:272] = 255 - other[:, :, 240:272, 240:272]
    with torch.no_grad():
        changed = ((net(picture) - net(other)).abs().amax(1)[0] > 0).nonzero()
    low, high = changed.amin(0), changed.amax(0)
    assert int(low.min()) >= 240 - margin
    assert int(high.max()) <= 271 + margin
    assert int(low.min()) <= 240 - 60  # and it does see far


def test_a_tile_that_is_all_margin_is_refused():
    with pytest.raises(ValueError, match="all margin"):
        Tiled(torch.nn.Identity(), 100, 16, side=200)
