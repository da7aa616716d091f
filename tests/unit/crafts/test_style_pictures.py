"""Colours that are kept, sizes, layers by name, and the loss beside a plain loop in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.crafts.style_transfer import _scales, _shapes
from gnomon.crafts.style_transfer.canvas import Aim, Canvas, Weights
from gnomon.crafts.style_transfer.eyes import Eyes, trained_net, usual_layers, weights_of_layers
from gnomon.crafts.style_transfer.pictures import coloured_like, gray_like, luminance, matched
from gnomon.models.efficientnet import FAMILY
from gnomon.models.vgg import FAMILY as VGG

INPUTS = PictureInputs(3, 224, 224, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


def pictures(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 0.6, (20, 30, 3)) * (1, 0.8, 0.5), rng.uniform(0, 1, (25, 15, 3))


def test_matched_colours_have_mean_and_covariance_of_the_content():
    content, style = pictures()
    found = matched(style, content).reshape(-1, 3)
    np.testing.assert_allclose(found.mean(0), content.reshape(-1, 3).mean(0), atol=1e-12)
    np.testing.assert_allclose(np.cov(found.T), np.cov(content.reshape(-1, 3).T), atol=1e-10)
    gray = matched(np.full((8, 8, 3), 0.5), content)  # one colour: there is no direction to stretch
    assert np.isfinite(gray).all()


def test_brightness_alone_is_painted_where_colours_are_kept():
    content, style = pictures()
    of_style, of_content = gray_like(style, content)
    assert of_style.mean() == pytest.approx(of_content.mean())
    assert of_style.std() == pytest.approx(of_content.std())
    content = 0.4 + 0.2 * content  # far from black and white: nothing is cut off
    painted = 0.4 + 0.2 * style[:20, :15].repeat(2, axis=1)
    found = coloured_like(painted, content)
    np.testing.assert_allclose(luminance(found), luminance(painted), atol=1e-12)
    chroma = content - luminance(content)[..., None]
    np.testing.assert_allclose(found - luminance(found)[..., None], chroma, atol=1e-12)


def test_sizes_are_halves_of_one_another_down_to_160_pixels():
    assert [_scales(side) for side in (64, 319, 320, 512, 640, 2048)] == [1, 1, 2, 2, 3, 4]
    assert _shapes(300, 400, 3) == [(75, 100), (150, 200), (300, 400)]
    with pytest.raises(UsageError, match="scales=6 begins with 2x2 pixels"):
        _shapes(64, 64, 6)


def test_weights_of_layers_are_shares_and_faults_are_named():
    assert weights_of_layers(["stem", "stage1.0:3"]) == {"stem": 0.25, "stage1.0": 0.75}
    for wrong in ("stem:x", "stem:-1", "stem:nan"):
        with pytest.raises(UsageError, match=f"style_layers={wrong} is not"):
            weights_of_layers([wrong])


def small_net() -> torch.nn.Module:
    torch.manual_seed(0)
    net = FAMILY.build(Wanted("efficientnet-lite0", INPUTS, FAMILY.settings(), (0.0,), None, "features"))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.mark.parametrize(("height", "width"), [(64, 80), (67, 80), (61, 75)])  # halved evenly, and not
def test_eyes_see_what_the_whole_net_sees_and_end_with_the_last_layer_used(height, width):
    net, picture = small_net(), torch.rand(1, 3, height, width)
    with torch.no_grad():
        wanted = net(picture)
        found = Eyes(net, ["stage3.1", "stage1.0", "stage2.1"]).train()(picture)
    torch.testing.assert_close(found["stage1.0"], wanted["stride2"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["stage2.1"], wanted["stride4"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["stage3.1"], wanted["stride8"], rtol=1e-4, atol=1e-5)
    assert Eyes(small_net(), ["stage1.0"]).names == ["stem", "stage1.0"]
    with pytest.raises(UsageError, match=r"no layer stage9\. Fix: choose among stem, stage1\.0"):
        Eyes(small_net(), ["stage9"])


def test_vgg_uses_the_layers_of_the_paper():
    net = VGG.build(Wanted("vgg11", INPUTS, VGG.settings(width=0.1), (0.0,), None, "features"))
    content, style = usual_layers("vgg11", net)
    assert content == "stage4.relu2"
    assert style == ("stage1.relu1", "stage2.relu1", "stage3.relu1", "stage4.relu1", "stage5.relu1")
    assert Eyes(net, [content]).names[-3:] == ["stage4.relu1", "stage4.conv2", "stage4.relu2"]


def test_a_net_without_weights_or_maps_is_refused():
    with pytest.raises(UsageError, match="model=vgg19 needs its weights"):
        trained_net("vgg19", None)
    with pytest.raises(UsageError, match="has no maps of pictures"):
        trained_net("linear", None)


def test_the_loss_equals_a_plain_loop_in_torch():
    net, weights = small_net(), Weights(2.0, 30.0, 5.0, {"stem": 0.25, "stage2.1": 0.75})
    content, style, picture = (torch.rand(1, 3, 48, 56) for _ in range(3))
    stem = torch.nn.Sequential(net.normalise, net.stem)
    deeper = torch.nn.Sequential(stem, net.stage1, net.stage2)

    def plain_gram(maps: torch.Tensor) -> torch.Tensor:
        _, channels, height, width = maps.shape
        flat = maps.contiguous().view(channels, height * width)
        return torch.mm(flat, flat.t()).div(height * width)

    x = picture.clone().requires_grad_()
    kept = deeper(content).detach()
    plain = 2.0 * functional.mse_loss(deeper(x), kept) / kept.square().mean()
    for share, part in ((0.25, stem), (0.75, deeper)):
        liked = plain_gram(part(style)).detach()
        plain = plain + 30.0 * share * functional.mse_loss(plain_gram(part(x)), liked) / liked.square().mean()
    plain = plain + 5.0 * (
        (x[..., 1:] - x[..., :-1]).square().mean() + (x[..., 1:, :] - x[..., :-1, :]).square().mean()
    )
    plain.backward()

    eyes = Eyes(small_net(), ["stage2.1", "stem"])
    with torch.no_grad():
        seen, liked = eyes(content), eyes(style)
    aim = Aim({"stage2.1": seen["stage2.1"]}, {layer: liked[layer] for layer in ("stem", "stage2.1")})
    canvas = Canvas(eyes, [picture], [aim], weights, total_steps=3, uses_lbfgs=False, margin=0, frame=(8, 8))
    loss = canvas.loss()
    loss.backward()
    torch.testing.assert_close(loss, plain.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(canvas.pictures[0].grad, x.grad, rtol=1e-2, atol=1e-6)


def test_a_step_that_makes_the_loss_infinite_changes_nothing():
    eyes = Eyes(small_net(), ["stem"])
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        maps = eyes(picture)
    canvas = Canvas(
        eyes, [picture], [Aim(maps, maps)], Weights(1e38, 1e38, 1e38, {"stem": 1.0}), total_steps=3, uses_lbfgs=True,
        margin=0, frame=(8, 8),
    )  # fmt: skip
    with torch.no_grad():
        canvas.pictures[0].mul_(1e3)
    before = canvas.pictures[0].detach().clone()
    assert not torch.isfinite(canvas.descend(1.0))
    assert torch.equal(before, canvas.pictures[0].detach())
