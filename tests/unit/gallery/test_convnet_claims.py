"""What the claims about convnets measure: each experiment once, tiny; and the parts that could mislead."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.core.family import WithSides
from gnomon.figures.encode import png
from gnomon.gallery import (
    augmentation_by_size,
    compound_scaling,
    data_and_size,
    deep_or_wide,
    label_noise,
    normalisation_noise,
    residual,
    side_heads,
    transfer_by_size,
)
from gnomon.gallery._convnets import Recipe, epochs_for, small_net, smoothed, train
from gnomon.gallery._small_pictures import Pictures, digits

TINY = {  # module: constants that make its experiment run in a second
    residual: {
        "DEPTHS": (8, 20),
        "MIDDLE": 8,
        "DEEPEST": 20,
        "CHANNELS": (1, 2, 4),
        "RATES": (0.1,),
        "EPOCHS": 1,
        "TRAIN_ON": 64,
    },
    label_noise: {"RATES": (0.1,), "EPOCHS": 1, "TRAIN_ON": 80},
    data_and_size: {"COUNTS": (20, 40), "CHANNELS": (1, 2), "RATES": (0.1,), "STEPS": 2},
    augmentation_by_size: {"COUNTS": (20, 40), "RATES": (0.1,), "STEPS": 2},
    transfer_by_size: {"PER_CLASS": (2, 4), "RATES": (0.1,), "STEPS": 2, "STEPS_BEFORE": 2},
    normalisation_noise: {"RATES": (0.1,), "EPOCHS": 1, "TRAIN_ON": 256, "DRAWS": 2},
    deep_or_wide: {"RATES": (0.1,), "EPOCHS": 1, "TRAIN_ON": 64},
    side_heads: {"RATES": (0.01,), "EPOCHS": 1, "EARLY": 1, "TRAIN_ON": 64, "WIDTH": 1 / 32},
    compound_scaling: {"RATES": (0.1,), "EPOCHS": 1, "TRAIN_ON": 64, "TUNING_SEEDS": (1000,)},
}


@pytest.mark.parametrize("module", TINY, ids=lambda module: module.__name__.rpartition(".")[2])
def test_an_experiment_runs_from_pictures_to_verdict_table_and_figure(monkeypatch, module: ModuleType):
    for name, value in {**TINY[module], "DEV": 60}.items():
        monkeypatch.setattr(module, name, value)
    claim, shares = module.CLAIM, []
    assert claim.pictures is digits
    few = digits().take(slice(600))
    measured = claim.measure(range(2), lambda share, _doing: shares.append(share), few)
    assert all(part.measured is not None and np.isfinite(part.measured.value) for part in claim.judge(measured))
    table = claim.table(measured)
    assert all(len(row) == len(table.head) for row in table.rows)
    assert png(claim.draw(measured)).startswith(b"\x89PNG")
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] < 1


# --- the loop ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("count", "epochs"), [(40, 150), (64, 150), (128, 75), (1080, 9)])
def test_sets_of_any_size_train_for_as_many_steps(count, epochs):
    # 1,080 pictures are 17 batches of about 64: 9 epochs are 153 steps
    assert epochs_for(150, digits().take(slice(count))) == epochs


def test_no_wrong_answer_of_99_counts_as_half_of_one():
    assert smoothed(0.0, 99) == pytest.approx(0.005)
    assert smoothed(0.5, 9) == pytest.approx(0.5)  # (4.5 + 0.5) / 10


# --- label noise ------------------------------------------------------------------------------------------------------
def test_random_errors_are_as_many_as_asked_for_each_with_another_class():
    part, _ = digits().split(0, train=1000, dev=100)
    spoiled = label_noise.spoiled(part, "random", 0.2, 0)
    is_wrong = spoiled.labels != part.labels
    assert int(is_wrong.sum()) == 200
    assert len(((spoiled.labels - part.labels) % 10)[is_wrong].unique()) == 9  # every other class occurs


def test_systematic_errors_are_the_darkest_of_each_class_with_the_next_class():
    images = torch.linspace(0, 1, 20).view(20, 1, 1, 1).expand(20, 1, 2, 2)
    part = Pictures("steps of gray", images, torch.arange(20) % 2, 2)
    spoiled = label_noise.spoiled(part, "systematic", 0.3, 0)
    assert (spoiled.labels != part.labels).nonzero().flatten().tolist() == [0, 1, 2, 3, 4, 5]
    assert spoiled.labels[:2].tolist() == [1, 0]  # the class after the last is the first


# --- transfer ---------------------------------------------------------------------------------------------------------
def test_old_and_new_classes_share_no_picture_and_both_count_from_zero():
    whole = digits()
    old, new = transfer_by_size.halves(whole)
    assert len(old) + len(new) == len(whole)
    assert (old.num_classes, new.num_classes) == (5, 5)
    assert old.labels.unique().tolist() == new.labels.unique().tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(new.images, whole.images[whole.labels >= 5])


def test_a_frozen_net_changes_in_its_head_alone_and_a_net_from_scratch_takes_nothing():
    _, new = transfer_by_size.halves(digits().take(slice(200)))
    before = small_net(new, 5)
    frozen = transfer_by_size.transferred(before, "frozen", new, 0)
    kept = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    train(frozen, new, Recipe(1, 0.1), 0, keeps_statistics=True)
    changed = {name for name, tensor in frozen.state_dict().items() if not torch.equal(tensor, kept[name])}
    assert changed == {"head.weight", "head.bias"}
    whole = transfer_by_size.transferred(before, "whole", new, 0)
    scratch = transfer_by_size.transferred(before, "scratch", new, 0)
    assert torch.equal(whole.conv1.weight, before.conv1.weight)
    assert not torch.equal(scratch.conv1.weight, before.conv1.weight)


# --- batch norm's noise -----------------------------------------------------------------------------------------------
def test_batch_norm_in_groups_normalises_each_group_by_its_own_mean():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, 2, 2, generator=generator) + torch.arange(6.0).view(6, 1, 1, 1)
    grouped = normalisation_noise.Grouped(nn.BatchNorm2d(3), 2)
    parts = [(part - part.mean(dim=(0, 2, 3), keepdim=True))
             / (part.var(dim=(0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt() for part in x.split(2)]  # fmt: skip
    assert torch.allclose(grouped(x), torch.cat(parts), atol=1e-5)


def test_a_net_without_batch_norm_has_no_noise_and_smaller_groups_have_more():
    part = digits().take(slice(128))
    without = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    assert normalisation_noise.noise(without, 8, part) == 0
    net = small_net(part, 0)
    with torch.no_grad():
        net.head.weight.mul_(100)  # it starts so small that every answer is the same
    assert normalisation_noise.noise(net, 8, part) > 1.5 * normalisation_noise.noise(net, 32, part)


# --- equal parameters, equal multiply-adds ----------------------------------------------------------------------------
@pytest.mark.parametrize("kind", deep_or_wide.KINDS)
def test_deep_and_wide_nets_have_equally_many_parameters(kind):
    few = digits().take(slice(2))
    for depth in deep_or_wide.depths(kind):
        net = deep_or_wide.build(kind, depth, deep_or_wide.width_for(kind, depth, few), few, 0)
        found = sum(parameter.numel() for parameter in net.parameters())
        assert found == pytest.approx(deep_or_wide.SIZE[kind], rel=0.05)
        with_weights = [module for module in net.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        assert len(with_weights) == deep_or_wide.layers(kind, depth)


def test_scaled_nets_cost_four_times_the_base_and_the_compound_one_grows_in_all_three():
    few = digits().take(slice(2))
    shapes = compound_scaling.scaled(few)
    base, compound = shapes["base"], shapes["compound"]
    for name in (*compound_scaling.ALONE, "compound"):
        assert compound_scaling.cost(shapes[name], few) == pytest.approx(4 * compound_scaling.cost(base, few), rel=0.03)
    assert compound.blocks > base.blocks
    assert compound.channels > base.channels
    assert compound.side > base.side


def test_the_cost_is_that_of_the_convolutions_written_out():
    # 8 layers, 6 channels, 4x4 pixels: maps of 4x4, 2x2 and 1x1; 9 weights per pair of channels; a head of 24 x 10
    stem, first = 16 * 9 * 6, 16 * 9 * 2 * 6 * 6
    second, third = 4 * 9 * (6 * 12 + 12 * 12), 1 * 9 * (12 * 24 + 24 * 24)
    base = compound_scaling.Shape(3, 6, 4)
    assert compound_scaling.cost(base, digits().take(slice(1))) == stem + first + second + third + 240


# --- data and size ----------------------------------------------------------------------------------------------------
def test_the_exponent_of_a_power_law_is_found():
    law = 0.5 * (np.array(data_and_size.COUNTS) / 40.0) ** -0.7
    assert data_and_size.exponents(np.tile(law, (3, 4, 1))) == pytest.approx(-0.7)


# --- side heads -------------------------------------------------------------------------------------------------------
def test_side_losses_count_three_tenths_each():
    labels = torch.tensor([0, 1])
    outputs = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    main = float(np.log(1 + np.exp(-2)))  # both answers are right by 2
    side = float(np.log(2))  # an even guess
    found = WithSides(outputs, (torch.zeros(2, 2), torch.zeros(2, 2)), 0.3)
    assert float(side_heads.main_loss(found, labels)) == pytest.approx(main, rel=1e-6)
    assert float(side_heads.with_sides(found, labels)) == pytest.approx(main + 0.6 * side, rel=1e-6)


def test_both_sides_of_the_comparison_start_alike():
    part = digits().take(slice(20)).resized(side_heads.SIDE)
    nets = [side_heads.build(part, 3) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*(net.state_dict().values() for net in nets), strict=True))
