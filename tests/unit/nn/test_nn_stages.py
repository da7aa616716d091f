"""Stages of a backbone: frozen from the input on, and rates that rise evenly to the head's."""

from __future__ import annotations

import pytest
import torch

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.nn.groups import parameter_groups, set_training
from gnomon.nn.stages import AfterFrozen, freeze_stages, grade_rates, stages_of
from gnomon.training.flat import FlatParameters


def resnet18(classes=3):
    family = found.family("resnet18")
    return family.build(
        Wanted("resnet18", PictureInputs(3, 32, 32, (0.5,) * 3, (0.2,) * 3), family.settings(), (), classes)
    )


def trained(model):
    return {name.partition(".")[0] for name, one in model.named_parameters() if one.requires_grad}


@pytest.mark.parametrize(
    ("freeze", "left"),
    [
        ("none", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "head"}),
        (0, {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "head"}),
        (1, {"layer2", "layer3", "layer4", "head"}),
        (3, {"layer4", "head"}),
        (4, {"head"}),
        ("backbone", {"head"}),
    ],
)
def test_stages_are_frozen_from_the_input_on(freeze, left):
    model = resnet18()
    freeze_stages(model, freeze, "resnet18")
    assert trained(model) == left


def test_more_stages_than_there_are_is_refused():
    with pytest.raises(
        UsageError, match=r"freeze=9, but resnet18 has 4 stages\. Fix: freeze=1 to 4, or freeze=backbone"
    ):
        freeze_stages(resnet18(), 9, "resnet18")


def test_frozen_batch_norm_keeps_its_statistics_and_trained_does_not():
    model = resnet18()
    freeze_stages(model, 1, "resnet18")
    set_training(model)
    before = {name: one.clone() for name, one in model.named_buffers()}
    model(torch.rand(4, 3, 32, 32))
    changed = {name.partition(".")[0] for name, one in model.named_buffers() if not torch.equal(one, before[name])}
    assert changed == {"layer2", "layer3", "layer4"}


def test_rates_rise_evenly_on_a_log_scale_to_the_head():
    model = resnet18()
    grade_rates(model, 0.0001)
    rates = {group.rate for group in parameter_groups(model)}
    assert sorted(rates) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])  # and 1 for the head, in no group
    stage3 = next(group for group in parameter_groups(model) if group.rate == pytest.approx(1e-2))
    assert {id(one) for one in stage3.parameters} == {id(one) for one in model.layer3.parameters()}


def test_rates_rise_over_the_stages_that_are_trained():
    model = resnet18()
    freeze_stages(model, 2, "resnet18")
    grade_rates(model, 0.01)
    assert sorted(set(FlatParameters(model).rates)) == pytest.approx([0.01, 0.1, 1.0])


def test_a_head_on_vectors_gives_what_the_whole_gives_and_shares_its_weights():
    model = resnet18().eval()
    pictures = torch.rand(5, 3, 32, 32)
    part = AfterFrozen(model, "backbone")
    with torch.no_grad():
        assert torch.equal(part(model.vectors(pictures)), model(pictures))
    assert part.head.weight is model.head.weight


def test_every_backbone_has_stages_that_cover_what_leads_to_its_last_map():
    """Of every family that gives features: the smallest name."""
    for name in found.family_names():
        family = found.family(name)
        if "features" not in family.gives or name != family.names[0]:
            continue
        with torch.device("meta"):
            inputs = PictureInputs(3, 224, 224, (0.5,) * 3, (0.2,) * 3)
            model = family.build(Wanted(name, inputs, family.settings(), (), 5))
        children = [child for child, one in model.named_children() if any(True for _ in one.parameters())]
        named = [child for layers in stages_of(model) for child in layers]
        assert len(named) == len(set(named)), name
        freeze_stages(model, "backbone", name)
        assert trained(model) == {"head"}, name
        assert set(children) - set(named) - {"head"} == set(children[len([c for c in children if c in named]) : -1]), (
            name
        )
