"""Anchors against brute force over all ways to divide a few sizes, and against planted shapes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from gnomon.nn import anchors as module
from gnomon.nn.anchors import anchor_recall, find_anchors, mean_distance, size_iou


def drawn(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 5 + 95 * torch.rand(count, 2, generator=generator, dtype=torch.float64)


def test_sizes_that_share_a_corner_overlap_as_on_paper():
    # 4x2 and 2x4 share 2x2; together 8 + 8 - 4
    assert size_iou(torch.tensor([[4.0, 2.0]]), torch.tensor([[2.0, 4.0], [4.0, 2.0], [0.0, 0.0]])).tolist() == [
        [pytest.approx(1 / 3), 1.0, 0.0]
    ]


@pytest.mark.parametrize("seed", range(5))
def test_two_anchors_of_eight_sizes_come_near_the_best_of_every_division(seed):
    sizes = drawn(8, seed)
    grid = torch.cartesian_prod(*[torch.linspace(5, 100, 39, dtype=torch.float64)] * 2)
    fit = size_iou(sizes, grid)  # (8, G)
    best = min(
        8 - sum(float(fit[[i in side for i in range(8)]].sum(0).max()) for side in (chosen, set(range(8)) - chosen))
        for number in range(1, 5)
        for chosen in map(set, itertools.combinations(range(8), number))
    )
    assert mean_distance(sizes, find_anchors(sizes, 2)) <= best / 8 + 0.02


@pytest.mark.parametrize("seed", range(5))
def test_no_round_makes_the_mean_distance_larger(monkeypatch, seed):
    sizes = drawn(200, seed)
    monkeypatch.setattr(module, "MOST_ROUNDS", 1)
    anchors, before = sizes[:6], 1.0
    for _ in range(20):
        anchors = module._descend(sizes, anchors)
        now = mean_distance(sizes, anchors)
        assert now <= before + 1e-12
        before = now


def test_planted_shapes_are_found_the_smallest_first():
    shapes = torch.tensor([[10.0, 20.0], [40.0, 40.0], [100.0, 30.0]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    noise = 1 + 0.05 * torch.randn(300, 2, generator=generator, dtype=torch.float64)
    sizes = shapes.repeat(100, 1) * noise
    found = find_anchors(sizes, 3)
    assert (size_iou(found, shapes).diagonal() > 0.95).all()  # areas 200, 1,600, 3,000
    assert anchor_recall(sizes, found, threshold=0.7) == 1.0
    assert anchor_recall(sizes, found[:1], threshold=0.7) == pytest.approx(1 / 3)


def test_the_same_sizes_have_the_same_anchors_and_another_seed_draws_others():
    sizes = drawn(100, 0)
    assert torch.equal(find_anchors(sizes, 5), find_anchors(sizes, 5))
    assert not torch.equal(module._begin(sizes, 5, 1), module._begin(sizes, 5, 2))


def test_an_anchor_without_boxes_takes_the_one_that_is_covered_worst():
    sizes = torch.tensor([[10.0, 10.0], [11.0, 11.0], [100.0, 5.0]], dtype=torch.float64)
    far = torch.tensor([[10.0, 10.0], [1000.0, 1000.0]], dtype=torch.float64)
    found = module._descend(sizes, far)
    assert [100.0, 5.0] in found.tolist()


def test_few_different_sizes_are_all_anchors_and_those_without_area_none():
    sizes = torch.tensor([[8.0, 4.0], [0.0, 4.0], [8.0, 4.0], [2.0, 2.0]])
    assert find_anchors(sizes, 3).tolist() == [[2.0, 2.0], [2.0, 2.0], [8.0, 4.0]]
    with pytest.raises(ValueError, match="at least one box with an area"):
        find_anchors(torch.zeros(3, 2), 2)
