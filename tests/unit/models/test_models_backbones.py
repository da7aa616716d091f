"""Every backbone for pictures against the numbers of other libraries, and against what a backbone promises."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.core.settings import Settings, fill

GOLDEN = Path(__file__).parents[2] / "golden"
NUMBERS = tomllib.loads((GOLDEN / "numbers.toml").read_text())
BACKBONES = [name for name in found.family_names() if "features" in found.family(name).gives]
INVERTED = {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}
MAPS = {  # strides and channels at 64 pixels per side and more: the papers' tables
    "efficientnet-b0": INVERTED,
    "efficientnet-lite0": INVERTED,
    "mobilenet-v1": {2: 64, 4: 128, 8: 256, 16: 512, 32: 1024},
    "mobilenet-v2": {2: 16, 4: 24, 8: 32, 16: 96, 32: 320},
    "vgg11": {1: 64, 2: 128, 4: 256, 8: 512, 16: 512},
    "vgg16-bn": {1: 64, 2: 128, 4: 256, 8: 512, 16: 512},
    "alexnet": {4: 64, 8: 192, 16: 256},
    "alexnet-2012": {4: 96, 8: 256, 16: 256},
    "googlenet": {2: 64, 4: 192, 8: 480, 16: 832, 32: 1024},
    "googlenet-2014": {2: 64, 4: 192, 8: 480, 16: 832, 32: 1024},
    "airbench": {2: 64, 4: 256, 8: 256},
}
LEFT_OUT = {
    "airbench": 0,
    "vgg11": 0,
    "vgg16-bn": 0,
}  # strides of 2 that smaller pictures do not meet; in all other nets two
ROUNDS_DOWN = ("vgg", "alexnet", "googlenet", "airbench")  # not every layer is padded
SMALLEST = {
    "efficientnet": 8,
    "mobilenet": 8,
    "vgg": 8,
    "alexnet": 16,
    "googlenet": 16,
    "airbench": 9,
    "sm": 2,
    "si": 2,
}
ELSEWHERE = {  # a heading of names_elsewhere.txt -> the same net here
    "torchvision efficientnet_b1": "efficientnet-b1",
    "timm efficientnet_b1": "efficientnet-b1",
    "timm tf_efficientnet_lite0": "efficientnet-lite0",
    "efficientnet_lite_pytorch efficientnet-lite0": "efficientnet-lite0",
    "timm mobilenetv1_100": "mobilenet-v1",
    "torchvision mobilenet_v2": "mobilenet-v2",
    "timm mobilenetv2_100": "mobilenet-v2",
    "torchvision alexnet": "alexnet",
    "torchvision googlenet": "googlenet",
    **{f"torchvision vgg{depth}{norm}": f"vgg{depth}{norm.replace('_', '-')}" for depth in (11, 13, 16, 19)
       for norm in ("", "_bn")},
}  # fmt: skip


def golden():
    """The scripts that made the golden numbers: their weights and pictures are these tests' too."""
    modules = []
    sys.path.insert(0, str(GOLDEN))
    try:
        for name in ("make_resnet", "make_backbones"):
            spec = importlib.util.spec_from_file_location(name, GOLDEN / f"{name}.py")
            modules.append(importlib.util.module_from_spec(spec))
            spec.loader.exec_module(modules[-1])
    finally:
        sys.path.remove(str(GOLDEN))
    return modules


RESNET, MADE = golden()
SECTIONS = MADE.sections()


def built(name, size=(224, 224), num_outputs=1000, channels=3, mean=None, std=None, dropout=(), **own):
    family = found.family(name)
    inputs = PictureInputs(channels, *size, mean or (0.5,) * channels, std or (0.25,) * channels)
    return family.build(Wanted(name, inputs, family.settings(**own), dropout, num_outputs))


def ours(name, theirs):
    """Another library's names of tensors -> ours, by the one naming of the family that leads to all of them."""
    with torch.device("meta"):
        wanted = {key for key in built(name).state_dict() if not key.startswith("normalise.")}
    for naming in found.family(name).namings(name, found.family(name).settings()):
        changed = {}
        for key in theirs:
            new = key
            for pattern, replacement in naming.rules:
                new = re.sub(pattern, replacement, new)
            changed[key] = new
        if set(changed.values()) == wanted:
            return changed
    raise AssertionError(f"no naming of {name} leads from these names to ours: {sorted(theirs)[:3]}")


@pytest.mark.parametrize("net", NUMBERS["backbone_parameters"]["value"])
def test_parameters_are_as_many_as_elsewhere(net):
    name, _, width = net.partition(" ")
    with torch.device("meta"):
        model = built(name, **({"width": float(width)} if width else {}))
    assert sum(p.numel() for p in model.parameters()) == NUMBERS["backbone_parameters"]["value"][net]


@pytest.mark.parametrize("heading", ELSEWHERE)
def test_names_of_other_libraries_lead_to_ours_with_the_same_shapes(heading):
    name, theirs = ELSEWHERE[heading], SECTIONS[heading]
    with torch.device("meta"):
        state = built(name).state_dict()
    for key, own in ours(name, theirs).items():
        assert tuple(state[own].shape) == theirs[key], key


@pytest.mark.parametrize("heading", NUMBERS["backbone_answers"]["value"])
def test_with_the_same_weights_the_answers_are_those_of_other_libraries(heading):
    name, table = ELSEWHERE[heading], NUMBERS["backbone_answers"]
    model = to_answer(name)
    state = model.state_dict()
    RESNET.fill({theirs: state[own] for theirs, own in ours(name, SECTIONS[heading]).items()})
    for side, expected in zip(MADE.SIDES, table["value"][heading], strict=True):
        with torch.no_grad():
            answers = model(RESNET.pictures(side))
        expected = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(answers, expected, rtol=1e-6, atol=table["tolerance"])


def to_answer(name):
    """With four classes, and narrow dense layers where there are any: as those that gave the golden answers."""
    has_dense = name.startswith(("vgg", "alexnet"))
    with torch.device("meta" if has_dense else "cpu"):
        model = built(name, (64, 64), 4)
    if has_dense:
        dense = [model.dense1.linear, model.dense2.linear, model.head]
        with torch.device("meta"):
            model.dense1.linear, model.dense2.linear, model.head = MADE.narrow(dense, 4)
        model.to_empty(device="cpu")
    model = model.double().eval()
    for which in ("mean", "std"):  # float32 would differ in the eighth digit
        exact = torch.tensor(getattr(RESNET, which.upper()), dtype=torch.float64).view(3, 1, 1)
        getattr(model.normalise, which).copy_(exact)
    return model


@pytest.mark.parametrize("size", [(32, 32), (45, 33), (96, 64), (100, 131), (224, 224)])
@pytest.mark.parametrize("name", MAPS)
def test_a_backbone_gives_the_maps_that_it_says_for_sizes_that_no_stride_divides(name, size):
    with torch.device("meta"):
        model = built(name, size, None).eval()
        maps = model(torch.zeros(2, 3, *size))
    left_out = 1 if min(size) >= 64 else 2 ** LEFT_OUT.get(name, 2)
    expected = {max(1, stride // left_out): channels for stride, channels in MAPS[name].items()}
    assert model.head is None
    assert {one.stride: one.channels for one in model.maps} == expected
    assert list(maps) == [one.name for one in model.maps] == [f"stride{stride}" for stride in expected]
    for stride, channels in expected.items():
        batch, found_channels, *places = maps[f"stride{stride}"].shape
        assert (batch, found_channels) == (2, channels)
        fewer = 2 if name.startswith(ROUNDS_DOWN) else 0
        for side, number in zip(size, places, strict=True):
            assert -(-side // stride) - fewer <= number <= -(-side // stride)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_layer_of_a_backbone_belongs_to_one_map_and_the_head_takes_the_vectors(name):
    with torch.device("meta"):
        model, inside = (built(name, (64, 64), num_outputs).eval() for num_outputs in (5, None))
        vectors = model.vectors(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    layers = [layer for one in inside.maps for layer in one.layers]
    assert len(layers) == len(set(layers))
    with_weights = {key.split(".")[0] for key, _ in inside.named_parameters()}
    assert with_weights <= set(layers)
    assert {key.split(".")[0] for key in inside.state_dict()} - set(layers) == {"normalise"}
    assert vectors.shape == (2, model.head.in_features)
    assert model.head(vectors).shape == (2, 5)
    assert [*dict(model.named_children())][-1] == "head"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 40), (64, 64)])
@pytest.mark.parametrize("name", [*MAPS, "smile", "signs"])
def test_defaults_are_known_settings_and_build_a_model(name, size, channels):
    family = found.family(name)
    inputs = PictureInputs(channels, *size, (0.5,) * channels, (0.2,) * channels)
    settings = fill(Settings(), {"model.name": name, **family.defaults(name, inputs, 1000)})
    own = family.settings.model_validate(settings.model.own)
    with torch.device("meta"):
        model = family.build(Wanted(name, inputs, own, settings.regularise.dropout, 5)).eval()
        assert model(torch.zeros(2, channels, *size, dtype=torch.uint8)).shape == (2, 5)


@pytest.mark.parametrize("name", [*MAPS, "smile", "signs"])
def test_the_smallest_picture_that_a_net_takes_is_the_one_that_it_names(name):
    smallest = next(side for start, side in SMALLEST.items() if name.startswith(start))
    with torch.device("meta"):
        model = built(name, (smallest, smallest), 5).eval()
        assert model(torch.zeros(2, 3, smallest, smallest)).shape == (2, 5)
        for size in ((smallest - 1, 100), (100, smallest - 1), (1, 1)):
            wanted = (
                rf"{name} needs pictures of at least {smallest}x{smallest} pixels, got {size[0]}x{size[1]}\. Fix: use"
            )
            with pytest.raises(UsageError, match=wanted):
                built(name, size)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_net_that_is_too_small_is_answered_with_one_of_its_family(name):
    family = found.family(name)
    larger_name = family.larger.get(name, name)
    assert set(family.larger) <= set(family.names)
    assert larger_name in family.names
    with torch.device("meta"):
        smaller, larger = (sum(p.numel() for p in built(one).parameters()) for one in (name, larger_name))
    assert larger >= smaller  # a plain net is followed by its twin with skips, which cost nothing


@pytest.mark.parametrize("name", ["efficientnet-b0", "mobilenet-v1", "vgg11", "alexnet-2012", "googlenet"])
def test_width_multiplies_the_channels(name):
    with torch.device("meta"):
        whole, half, tiny = (built(name, width=width) for width in (1.0, 0.5, 0.01))
        assert tiny(torch.zeros(2, 3, 64, 64)) is not None  # a channel at least
    for one, other in zip(whole.maps, half.maps, strict=True):
        assert abs(2 * other.channels - one.channels) <= 16  # to multiples of 8 where a paper rounds so
