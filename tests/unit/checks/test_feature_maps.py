"""Where the stages of a net end, whoever wrote it."""

from __future__ import annotations

import torch
from torch import nn

from gnomon.checks.feature_maps import stages_in, watching
from gnomon.core import found
from gnomon.core.family import PictureInputs, Wanted


def net(name, side=32):
    family = found.family(name)
    inputs = PictureInputs(3, side, side, (0.5,) * 3, (0.25,) * 3)
    return family.build(Wanted(name, inputs, family.settings(), num_outputs=3)).eval()


def ends(model, side=32):
    return [(one.name, one.channels, one.places) for one in stages_in(model, model, torch.zeros(1, 3, side, side))]


def test_the_stages_of_a_backbone_are_those_of_its_maps():
    assert ends(net("resnet20")) == [("layer1", 16, (32, 32)), ("layer2", 32, (16, 16)), ("layer3", 64, (8, 8))]


def test_the_stages_of_a_plain_convnet_are_its_children():
    assert ends(net("convnet")) == [("stage1", 32, (16, 16)), ("stage2", 64, (8, 8))]


def test_a_net_of_the_users_own_has_a_stage_for_each_size_of_map():
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2),
    ).eval()  # fmt: skip
    assert ends(layers, 8) == [("2", 4, (8, 8)), ("5", 5, (4, 4))]
    assert ends(nn.Sequential(layers[:6], layers[6:]).eval(), 8) == [("0.2", 4, (8, 8)), ("0.5", 5, (4, 4))]


def test_a_dense_net_has_no_stages():
    assert ends(net("logistic")) == []
    assert ends(net("dense")) == []


def test_maps_of_a_single_place_are_no_stage():
    assert [places for _, _, places in ends(net("resnet20", 4), 4)] == [(4, 4), (2, 2)]


def test_a_layer_that_is_called_at_two_sizes_is_watched_at_one():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, stride=2)
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.conv2(self.relu(self.conv1(x)))).mean(dim=(2, 3))

    model = Shared().eval()
    stages = stages_in(model, model, torch.zeros(1, 3, 12, 12))
    assert [(one.name, one.places) for one in stages] == [("relu", (10, 10)), ("relu", (4, 4))]
    with torch.no_grad(), watching(stages[:1]) as maps:
        model(torch.rand(2, 3, 12, 12))
    assert maps["relu"].shape == (2, 4, 10, 10)
