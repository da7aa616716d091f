"""U-Net and the segmenter: shapes, the published sizes, what a pixel can see, weights of a backbone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gnomon.core import found
from gnomon.core.family import PictureInputs, Wanted
from gnomon.nn.initialise import initialise
from gnomon.nn.upsampling import mirrored

INPUTS = PictureInputs(3, 64, 64, (0.5,) * 3, (0.25,) * 3)


def built(name, inputs=INPUTS, outputs=3, **own):
    family = found.family(name)
    torch.manual_seed(0)
    return family.build(Wanted(name, inputs, family.settings.model_validate(own), (), outputs))


def small(padding="same", upsampling="transposed", **own):
    return built("unet", width=1 / 16, padding=padding, upsampling=upsampling, **own)


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (7, 90), (1, 1)])
@pytest.mark.parametrize(
    "own", [{"padding": "same"}, {"padding": "valid"}, {"padding": "same", "upsampling": "resized"}]
)
def test_a_unet_gives_logits_for_every_pixel_of_pictures_of_any_size(size, own):
    pictures = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    with torch.no_grad():
        assert small(**own).eval()(pictures).shape == (2, 3, *size)


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (61, 128)])
@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "resnet18"])
def test_a_segmenter_gives_logits_for_every_pixel_of_pictures_of_any_size(size, backbone):
    pictures = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    with torch.no_grad():
        assert built("segmenter", backbone=backbone, width=0.25).eval()(pictures).shape == (2, 3, *size)


def test_a_segmenter_takes_small_pictures_whose_backbone_keeps_their_size_longer():
    inputs = PictureInputs(1, 32, 32, (0.5,), (0.25,))
    with torch.no_grad():
        logits = built("segmenter", inputs, width=0.25).eval()(torch.zeros(2, 1, 32, 32, dtype=torch.uint8))
    assert logits.shape == (2, 3, 32, 32)


def test_without_padding_a_unet_looks_at_572_pixels_to_answer_for_388():
    # Ronneberger et al. 2015, figure 1: 572 x 572 in, 388 x 388 out; 28 x 28 maps of the widest level
    net, seen = small(padding="valid").eval(), {}
    net.down[0][0].conv.register_forward_pre_hook(lambda _module, given: seen.update(first=given[0].shape[2:]))
    net.down[4].register_forward_hook(lambda _module, _given, out: seen.update(widest=out.shape[2:]))
    with torch.no_grad():
        net(torch.zeros(1, 3, 388, 388, dtype=torch.uint8))
    assert seen == {"first": (572, 572), "widest": (28, 28)}


def test_a_unet_of_the_published_width_has_its_channels_and_a_quarter_is_the_default():
    inputs = PictureInputs(1, 64, 64, (0.5,), (0.25,))
    whole = built("unet", inputs, outputs=2, width=1.0, normalisation="none")
    # of figure 1: 3x3 convolutions, 2x2 up-convolutions, each with its biases, and the last layer
    channels, expected, before = (64, 128, 256, 512, 1024), 0, 1
    for own in channels:
        expected += (9 * before + 1) * own + (9 * own + 1) * own
        before = own
    for below, own in zip(channels[:0:-1], channels[-2::-1], strict=True):
        expected += 4 * below * own + own + (9 * 2 * own + 1) * own + (9 * own + 1) * own
    expected += 64 * 2 + 2
    assert sum(one.numel() for one in whole.parameters()) == expected
    assert built("unet").down[4][1].conv.out_channels == 1024 // 4


def test_mirroring_shows_the_picture_backwards_as_often_as_it_takes():
    x = torch.arange(3.0).view(1, 1, 1, 3)
    # 0 1 2 mirrored without repeating its border: ... 2 1 0 1 2 1 0 1 2 ...
    assert mirrored(x, (0, 5), (0, 3)).flatten().tolist() == [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1]
    assert mirrored(x[..., :1], (1, 1), (1, 1)).flatten().tolist() == [0.0] * 9


def test_a_transposed_convolution_starts_with_outputs_as_large_as_its_inputs():
    # He et al. 2015: sqrt(2 / n_in) keeps the mean square after a rectifier, which halves it;
    # each place of a 2x2 transposed convolution of stride 2 is reached by one place of every input channel
    layer = nn.ConvTranspose2d(256, 64, 2, stride=2)
    initialise(layer, "he", torch.Generator().manual_seed(0))
    x = torch.randn(4, 256, 16, 16, generator=torch.Generator().manual_seed(1)).relu()
    with torch.no_grad():
        assert float(layer(x).square().mean()) == pytest.approx(1.0, rel=0.05)
