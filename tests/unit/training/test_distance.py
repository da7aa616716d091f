"""How far inputs are from what a net's batch norms have seen, on inputs whose distance is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gnomon.training.distance import distance_from_training


def test_inputs_shifted_by_two_deviations_and_three_times_as_wide_are_two_and_ln_three_away():
    net = nn.BatchNorm2d(2, eps=0)
    net.running_mean.copy_(torch.tensor([1.0, -1.0]))
    net.running_var.copy_(torch.tensor([4.0, 1.0]))
    ones = torch.tensor([-1.0, 1.0]).repeat(8).reshape(4, 1, 2, 2)  # mean 0, deviation 1
    near = torch.cat([1 + 2 * ones, -1 + ones], dim=1)
    assert distance_from_training(net, lambda: net(near)) == pytest.approx(0, abs=1e-7)
    far = torch.cat([1 + 2 * 2 + 2 * 3 * ones, -1 + ones], dim=1)  # the first channel alone: the mean of two
    assert distance_from_training(net, lambda: net(far)) == pytest.approx((2 + math.log(3)) / 2, rel=1e-6)


def test_layers_count_the_same_whatever_their_width():
    wide, narrow = nn.BatchNorm1d(30, eps=0), nn.BatchNorm1d(1, eps=0)
    net = nn.Sequential(wide, nn.Linear(30, 1), narrow)
    x = torch.randn(50, 30)
    wide.running_mean.copy_(x.mean(0))
    wide.running_var.copy_(x.var(0, correction=0))
    with torch.no_grad():
        after = net[1](wide.eval()(x))
    narrow.running_mean.copy_(after.mean(0) - 3)
    narrow.running_var.copy_(after.var(0, correction=0))
    expected = (0 + 3 / after.std(correction=0).item()) / 2
    assert distance_from_training(net, lambda: net(x)) == pytest.approx(expected, rel=1e-4)


def test_the_net_is_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5)).train()
    before = {name: one.clone() for name, one in net.state_dict().items()}
    x = torch.randn(4, 1, 8, 8)
    assert distance_from_training(net, lambda: net(x)) == distance_from_training(net, lambda: net(x))
    assert net.training
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert not net[1]._forward_pre_hooks


@pytest.mark.parametrize("net", [nn.Linear(3, 2), nn.BatchNorm1d(3, track_running_stats=False)])
def test_a_net_without_running_statistics_has_no_distance(net):
    assert distance_from_training(net, lambda: net(torch.randn(4, 3))) is None
