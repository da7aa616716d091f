"""Residual nets against torchvision's numbers, the paper's tables and arithmetic by hand."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from standing import standing

import gnomon
from gnomon import tasks
from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.core.settings import Settings, fill, from_flat
from gnomon.models.resnet import Block, ResNetSettings
from gnomon.nn.initialise import initialise
from gnomon.strategy.improve_turns import turns_of
from gnomon.workflow.fit import fit

GOLDEN = Path(__file__).parents[2] / "golden"
NUMBERS = tomllib.loads((GOLDEN / "numbers.toml").read_text())
IMAGENET = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
CIFAR = (20, 32, 44, 56, 110)
FAMILY = found.family("resnet20")


def made_by():
    """The script that made the golden numbers: its weights and pictures are this test's too."""
    spec = importlib.util.spec_from_file_location("make_resnet", GOLDEN / "make_resnet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(name, size=(224, 224), num_outputs=1000, channels=3, mean=None, std=None, **own):
    inputs = PictureInputs(channels, *size, mean or (0.5,) * channels, std or (0.25,) * channels)
    return FAMILY.build(Wanted(name, inputs, ResNetSettings(**own), (), num_outputs))


def as_torchvision(model):
    """The one renaming and the one omission that the docstring promises."""
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("normalise.")}
    return {name.replace("head.", "fc.") if name.startswith("head.") else name: state[name] for name in state}


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", IMAGENET)
def test_parameters_names_and_shapes_are_torchvisions_but_for_the_head(name):
    with torch.device("meta"):
        model = built(name)
    assert parameters(model) == NUMBERS["resnet_parameters"]["value"][name]
    assert made_by().digest(as_torchvision(model)) == NUMBERS["resnet_names_and_shapes"]["value"][name]


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_with_torchvisions_weights_the_logits_are_torchvisions(name):
    golden = made_by()
    model = built(name, (64, 64), 4, mean=golden.MEAN, std=golden.STD).double().eval()
    golden.fill(as_torchvision(model))
    with torch.no_grad():
        logits = model(golden.pictures(64))
    expected, tolerance = (NUMBERS["resnet_logits"][key] for key in ("value", "tolerance"))
    torch.testing.assert_close(logits, torch.tensor(expected[name], dtype=torch.float64), rtol=1e-6, atol=tolerance)


def by_hand(num_layers):
    """Parameters of a CIFAR net: no biases before batch norm, which has two numbers a channel; ten classes."""
    n = (num_layers - 2) // 6
    stem = 3 * 3 * 3 * 16 + 2 * 16
    first = 2 * n * (9 * 16 * 16 + 2 * 16)
    second = 9 * 16 * 32 + (2 * n - 1) * 9 * 32 * 32 + 2 * n * 2 * 32
    third = 9 * 32 * 64 + (2 * n - 1) * 9 * 64 * 64 + 2 * n * 2 * 64
    return stem + first + second + third + 64 * 10 + 10


@pytest.mark.parametrize("num_layers", CIFAR)
def test_cifar_nets_have_the_parameters_of_the_paper_with_and_without_skips(num_layers):
    expected = by_hand(num_layers)
    table = NUMBERS["cifar_resnet_parameters"]
    assert abs(expected - table["value"][f"resnet{num_layers}"]) < table["tolerance"]
    for kind in ("resnet", "plain"):  # zeros cost nothing
        assert parameters(built(f"{kind}{num_layers}", (32, 32), 10)) == expected


def test_cifar_nets_have_as_many_weighted_layers_as_their_name_says():
    for num_layers in CIFAR:
        weighted = [
            m for m in built(f"resnet{num_layers}").modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)
        ]
        assert len(weighted) == num_layers


def test_the_way_around_a_cifar_block_is_every_second_pixel_with_zeros_for_new_channels():
    block = Block(2, 5, stride=2, shortcut="zeros", is_bottleneck=False, starts_as_identity=True).eval()
    block.start(torch.Generator())
    x = torch.rand(1, 2, 5, 4)
    found_values = block(x).detach().numpy()
    expected = np.zeros((1, 5, 3, 2), dtype=np.float32)
    for row in range(3):
        for column in range(2):
            expected[0, 1:3, row, column] = x[
                0, :, 2 * row, 2 * column
            ].numpy()  # three new ones: one before, two after
    np.testing.assert_array_equal(found_values, expected)


@pytest.mark.parametrize("shortcut", ["zeros", "none"])
def test_a_block_is_two_convolutions_with_what_came_in_added_only_in_the_residual_one(shortcut):
    block = Block(3, 3, stride=1, shortcut=shortcut, is_bottleneck=False, starts_as_identity=False).eval().double()
    with torch.no_grad():
        for place, tensor in enumerate(block.parameters()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(place)))
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    kernels = [block.conv1.weight, block.conv2.weight]
    scales = [(block.bn1.weight, block.bn1.bias), (block.bn2.weight, block.bn2.bias)]
    y = x
    for i, (kernel, (scale, shift)) in enumerate(zip(kernels, scales, strict=True)):
        y = torch.nn.functional.conv2d(y, kernel, padding=1) / np.sqrt(1 + 1e-5)  # running mean 0, variance 1
        y = y * scale[:, None, None] + shift[:, None, None]
        y = y.clamp(min=0) if i == 0 else y
    torch.testing.assert_close(block(x), (y + (x if shortcut == "zeros" else 0)).clamp(min=0))


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "resnet50"])
def test_every_block_begins_as_the_identity_unless_told_otherwise(name):
    x = torch.rand(2, 3, 32, 32)
    last = "bn3" if name == "resnet50" else "bn2"
    for zero_gamma in (True, False):
        model = built(name, (32, 32), 10, zero_gamma=zero_gamma)
        initialise(model, "he", torch.Generator().manual_seed(0))
        blocks = [module for module in model.modules() if isinstance(module, Block)]
        for block in blocks:
            gamma = getattr(block, last).weight
            assert bool((gamma == (0 if zero_gamma else 1)).all())
        same = blocks[1].eval()  # the first of a stage changes the shape
        maps = torch.rand(2, same.conv1.in_channels, 4, 4)
        assert torch.equal(same(maps), maps) == zero_gamma
    assert torch.isfinite(model(x)).all()


def test_a_plain_net_never_begins_with_dead_blocks():
    model = built("plain20", (32, 32), 10, zero_gamma=True)
    initialise(model, "he", torch.Generator().manual_seed(0))
    assert all(bool((m.weight == 1).all()) for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [  # He et al. 2016: table 1 (output sizes at 224), section 4.2 (32, 16, 8)
        ("resnet18", (224, 224), {4: (64, 56, 56), 8: (128, 28, 28), 16: (256, 14, 14), 32: (512, 7, 7)}),
        ("resnet50", (64, 96), {4: (256, 16, 24), 8: (512, 8, 12), 16: (1024, 4, 6), 32: (2048, 2, 3)}),
        ("resnet18", (63, 200), {1: (64, 63, 200), 2: (128, 32, 100), 4: (256, 16, 50), 8: (512, 8, 25)}),
        ("resnet20", (32, 32), {1: (16, 32, 32), 2: (32, 16, 16), 4: (64, 8, 8)}),
        ("plain20", (45, 13), {1: (16, 45, 13), 2: (32, 23, 7), 4: (64, 12, 4)}),
    ],
)  # fmt: skip
def test_a_backbone_gives_the_maps_that_it_says(name, size, expected):
    model = built(name, size, None).eval()
    assert not [key for key in model.state_dict() if key.startswith("head")]
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, *size, dtype=torch.uint8))
    assert [tuple(maps[one.name].shape[1:]) for one in model.maps] == list(expected.values())
    assert [(one.name, one.stride, one.channels) for one in model.maps] == [
        (f"stride{stride}", stride, shape[0]) for stride, shape in expected.items()
    ]
    assert list(maps) == [one.name for one in model.maps]


def test_width_multiplies_the_channels_of_every_layer():
    whole, half = built("resnet50", width=1.0), built("resnet50", width=0.5)
    for one, other in zip(whole.modules(), half.modules(), strict=True):
        if isinstance(one, torch.nn.Conv2d):
            assert other.out_channels * 2 == one.out_channels
    assert built("resnet20", width=0.01)(torch.rand(2, 3, 8, 8)).shape == (2, 1000)  # a channel at least


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (12, 30), (64, 80)])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20", "plain20"])
def test_defaults_are_known_settings_and_build_a_model_for_every_size(name, size, channels):
    inputs = PictureInputs(channels, *size, (0.5,) * channels, (0.2,) * channels)
    settings = fill(Settings(), {"model.name": name, **FAMILY.defaults(name, inputs, 1000)})
    own = FAMILY.settings.model_validate(settings.model.own)
    model = FAMILY.build(Wanted(name, inputs, own, (), 5)).eval()
    assert model(torch.zeros(2, channels, *size, dtype=torch.uint8)).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "larger"), [("resnet20", "resnet32"), ("resnet18", "resnet34"), ("plain20", "resnet20")]
)
def test_a_net_that_is_too_small_is_answered_with_the_next_of_its_kind(name, larger):
    named = {turn.name: turn.changes for turn in turns_of(("fit-train",), standing(model=name))}
    assert named["larger model"] == {"model.name": larger}
    assert named["wider"] == {"model.width": 2.0}


def test_the_deepest_and_the_widest_have_no_larger_one():
    named = {turn.name for turn in turns_of(("fit-train",), standing(model="resnet152", width=8))}
    assert not {"larger model", "wider"} & named


def test_a_plain_net_has_no_residual_branch_to_start_at_zero(tmp_path):
    data = tasks.load("image_classification").reader.write_sample(tmp_path / "bars", seed=0)
    with pytest.raises(UsageError, match="zero_gamma=False would have no effect here: it needs residual branches"):
        fit(data, model="plain20", zero_gamma=False, epochs=1)


def test_a_fit_learns_bars_and_the_run_predicts_as_it_was_judged(tmp_path):
    data = tasks.load("image_classification").reader.write_sample(tmp_path / "bars", seed=0)
    run = fit(data, model="resnet20", width=0.25, epochs=15, batch_size=8, learning_rate=0.02, augment="none")
    losses = [row["train_loss"] for row in run.history]
    assert losses[-1] < 0.5 * losses[0]
    again = gnomon.load(run.path).predict(data).sort("id")
    judged = run.evaluation("train").table.sort("id")
    kept = again.join(judged.select("id", judged_prediction="prediction"), on="id")
    assert len(kept) == len(judged)
    assert kept["prediction"].equals(kept["judged_prediction"], check_names=False)


def test_a_width_is_taken_where_any_model_takes_it_and_checked_again_when_the_model_is_known():
    assert from_flat({"width": "64"}).model.own == {"width": 64}  # units of the GRUs; of no resnet so many times
    assert from_flat({"model": "words-gru", "width": "64"}).model.width == 64
    with pytest.raises(UsageError, match=r"model\.width=64 cannot be used"):
        from_flat({"model": "resnet20", "width": "64"})
    with pytest.raises(UsageError, match=r"model\.width=0 cannot be used"):
        from_flat({"width": "0"})
