"""Nets for signals and volumes: parameters by hand and from torchvision, logits of the same nets written plainly."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from gnomon.core import found
from gnomon.core.family import SignalInputs, VolumeInputs, Wanted


def built(name, inputs, num_outputs, **own):
    family = found.family(name)
    return family.build(Wanted(name, inputs, family.settings(**own), (), num_outputs))


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def shaken(model):
    """Every tensor at random, the statistics of batch norm too, so that no layer can hide behind ones and zeros."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(0.5 + drawn if "var" in name else (drawn - 0.5) * 0.4)
    return model.eval()


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (9, 20)])
def test_resnet1d_has_the_parameters_that_the_paper_adds_up_to(channels, classes):
    # Wang et al. 2017: blocks of 64, 128, 128 filters of 8, 5, 3 steps; a scale and a shift after each; shortcuts of 1
    # step where the number of filters changes. Two classes have one output.
    first = 8 * channels * 64 + 5 * 64 * 64 + 3 * 64 * 64 + 3 * 2 * 64 + channels * 64 + 2 * 64
    second = 8 * 64 * 128 + 5 * 128 * 128 + 3 * 128 * 128 + 3 * 2 * 128 + 64 * 128 + 2 * 128
    third = 8 * 128 * 128 + 5 * 128 * 128 + 3 * 128 * 128 + 3 * 2 * 128
    outputs = 1 if classes == 2 else classes
    assert parameters(built("resnet1d", SignalInputs(channels, 50), outputs)) == (
        first + second + third + 128 * outputs + outputs
    )


def test_resnet3d18_has_the_published_parameters():
    # torchvision.models.video.r3d_18 with its 400 classes of Kinetics: num_params 33,371,472 in its documentation
    with torch.device("meta"):
        assert parameters(built("resnet3d18", VolumeInputs(3, 16, 112, 112), 400)) == 33_371_472


def test_resnet1d_gives_the_logits_of_the_plain_equations():
    model = shaken(built("resnet1d", SignalInputs(3, 20), 4, width=0.1))
    state, x = model.state_dict(), torch.randn(5, 3, 20)

    def norm(x, at):
        shape = (1, -1, 1)
        mean, var, scale, shift = (
            state[f"{at}.{name}"].view(shape) for name in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * scale + shift

    def convolved(x, weight):
        """Every output as a sum over the filter's steps, the signal continued with zeros."""
        size, before = weight.shape[2], (weight.shape[2] - 1) // 2
        padded = torch.cat([x.new_zeros(*x.shape[:2], before), x, x.new_zeros(*x.shape[:2], size)], dim=2)
        steps = x.shape[2]
        return sum(torch.einsum("oi,bit->bot", weight[:, :, k], padded[:, :, k : k + steps]) for k in range(size))

    wanted = x
    for block in ("block1", "block2", "block3"):
        h = wanted
        for k in (1, 2, 3):
            h = norm(convolved(h, state[f"{block}.branch.conv{k}.weight"]), f"{block}.branch.norm{k}")
            h = h.relu() if k < 3 else h
        around = wanted
        if f"{block}.around.conv.weight" in state:
            around = norm(convolved(wanted, state[f"{block}.around.conv.weight"]), f"{block}.around.norm")
        wanted = (h + around).relu()
    wanted = wanted.mean(dim=2) @ state["head.weight"].T + state["head.bias"]
    torch.testing.assert_close(model(x), wanted, atol=1e-4, rtol=1e-4)


def plain_r3d(state, x, blocks, size, stride):
    """R3D as functions of a state dict."""

    def norm(x, at):
        parts = [state[f"{at}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *parts, training=False)

    x = functional.conv3d(x, state["conv1.weight"], stride=(1, stride, stride), padding=[k // 2 for k in size])
    x = norm(x, "bn1").relu()
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            at, step = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            h = norm(functional.conv3d(x, state[f"{at}.conv1.weight"], stride=step, padding=1), f"{at}.bn1").relu()
            h = norm(functional.conv3d(h, state[f"{at}.conv2.weight"], padding=1), f"{at}.bn2")
            if f"{at}.downsample.0.weight" in state:
                x = norm(functional.conv3d(x, state[f"{at}.downsample.0.weight"], stride=step), f"{at}.downsample.1")
            x = (h + x).relu()
    return x.flatten(2).mean(dim=2) @ state["head.weight"].T + state["head.bias"]


@pytest.mark.parametrize(
    ("name", "sides", "blocks", "size", "stride"),
    [
        ("resnet3d8", (12, 10), (1, 1, 1), (3, 3, 3), 1),
        ("resnet3d8", (32, 33), (1, 1, 1), (3, 3, 3), 2),  # large enough for the first convolution to halve them
        ("resnet3d18", (12, 10), (2, 2, 2, 2), (3, 7, 7), 2),
    ],
)
def test_nets_for_volumes_give_the_logits_of_the_plain_equations(name, sides, blocks, size, stride):
    model = shaken(built(name, VolumeInputs(2, 5, *sides), 3, width=0.1))
    x = torch.randn(2, 2, 5, *sides)
    torch.testing.assert_close(model(x), plain_r3d(model.state_dict(), x, blocks, size, stride), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("inputs", [SignalInputs(1, 1), VolumeInputs(1, 1, 1, 1), VolumeInputs(2, 1, 9, 9)])
def test_the_smallest_signals_and_volumes_go_through(inputs):
    shape = (inputs.channels, *((inputs.steps,) if inputs.modality == "signal" else
                                (inputs.depth, inputs.height, inputs.width)))  # fmt: skip
    for name in found.family_names():
        if inputs.modality in found.family(name).takes:
            model = built(name, inputs, 3)
            assert isinstance(model, nn.Module)
            assert model(torch.randn(4, *shape)).shape == (4, 3)
