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
SMALL = {  # one light net of each family
    "efficientnet-b0": {1: 24, 2: 40, 4: 112, 8: 320},
    "efficientnet-lite0": {1: 24, 2: 40, 4: 112, 8: 320},
}
LARGE = {
    "efficientnet-b0": {2: 16, 4: 24, 8: 40, 16: 112, 32: 320},
    "efficientnet-lite0": {2: 16, 4: 24, 8: 40, 16: 112, 32: 320},
}
ELSEWHERE = {  # a heading of names_elsewhere.txt -> the same net here
    "torchvision efficientnet_b1": "efficientnet-b1",
    "timm efficientnet_b1": "efficientnet-b1",
    "timm tf_efficientnet_lite0": "efficientnet-lite0",
    "efficientnet_lite_pytorch efficientnet-lite0": "efficientnet-lite0",
}


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
    for naming in found.family(name).namings:
        changed = {}
        for key in theirs:
            new = key
            for pattern, replacement in naming.rules:
                new = re.sub(pattern, replacement, new)
            changed[key] = new
        if set(changed.values()) == wanted:
            return changed
    raise AssertionError(f"no naming of {name} leads from these names to ours: {sorted(theirs)[:3]}")


@pytest.mark.parametrize("name", NUMBERS["backbone_parameters"]["value"])
def test_parameters_are_as_many_as_elsewhere(name):
    with torch.device("meta"):
        model = built(name)
    assert sum(p.numel() for p in model.parameters()) == NUMBERS["backbone_parameters"]["value"][name]


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
    model = built(name, (64, 64), 4, mean=RESNET.MEAN, std=RESNET.STD).double().eval()
    state = model.state_dict()
    RESNET.fill({theirs: state[own] for theirs, own in ours(name, SECTIONS[heading]).items()})
    for side, expected in zip((64, 75), table["value"][heading], strict=True):
        with torch.no_grad():
            answers = model(RESNET.pictures(side))
        expected = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(answers, expected, rtol=1e-6, atol=table["tolerance"])


@pytest.mark.parametrize("size", [(32, 32), (45, 33), (96, 64), (100, 131)])
@pytest.mark.parametrize("name", SMALL)
def test_a_backbone_gives_the_maps_that_it_says_for_sizes_that_no_stride_divides(name, size):
    with torch.device("meta"):
        model = built(name, size, None).eval()
        maps = model(torch.zeros(2, 3, *size))
    expected = LARGE[name] if min(size) >= 64 else SMALL[name]
    assert model.head is None
    assert {one.stride: one.channels for one in model.maps} == expected
    assert list(maps) == [one.name for one in model.maps] == [f"stride{stride}" for stride in expected]
    for stride, channels in expected.items():
        assert tuple(maps[f"stride{stride}"].shape) == (2, channels, *(-(-side // stride) for side in size))


@pytest.mark.parametrize("name", BACKBONES)
def test_every_layer_of_a_backbone_belongs_to_one_map_and_the_head_takes_the_vectors(name):
    model, inside = (built(name, (64, 64), num_outputs) for num_outputs in (5, None))
    layers = [layer for one in inside.maps for layer in one.layers]
    assert len(layers) == len(set(layers))
    with_weights = {key.split(".")[0] for key, _ in inside.named_parameters()}
    assert with_weights <= set(layers)
    assert {key.split(".")[0] for key in inside.state_dict()} - set(layers) == {"normalise"}
    vectors = model.eval().vectors(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    assert vectors.shape == (2, model.head.in_features)
    assert model.head(vectors).shape == (2, 5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 40), (64, 64)])
@pytest.mark.parametrize("name", SMALL)
def test_defaults_are_known_settings_and_build_a_model(name, size, channels):
    family = found.family(name)
    inputs = PictureInputs(channels, *size, (0.5,) * channels, (0.2,) * channels)
    settings = fill(Settings(), {"model.name": name, **family.defaults(name, inputs, 1000)})
    own = family.settings.model_validate(settings.model.own)
    model = family.build(Wanted(name, inputs, own, settings.regularise.dropout, 5)).eval()
    assert model(torch.zeros(2, channels, *size, dtype=torch.uint8)).shape == (2, 5)


@pytest.mark.parametrize("name", SMALL)
def test_a_picture_of_one_pixel_is_refused_with_what_to_do(name):
    with pytest.raises(
        UsageError, match=rf"{name} needs pictures of at least \d+x\d+ pixels, got 1x1\. Fix: use image"
    ):
        built(name, (1, 1))


@pytest.mark.parametrize("name", BACKBONES)
def test_a_net_that_is_too_small_is_answered_with_one_of_its_family(name):
    family = found.family(name)
    assert set(family.larger) <= set(family.names)
    assert family.larger.get(name, name) in family.names
    with torch.device("meta"):
        smaller = sum(p.numel() for p in built(name).parameters())
        larger = sum(p.numel() for p in built(family.larger.get(name, name)).parameters())
    assert larger >= smaller  # a plain net is followed by its twin with skips, which cost nothing
