"""Losses of identities against the papers' formulas in plain Python, mining against a search by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from gnomon.nn.identities import (
    IdentityLayer,
    contrastive_losses,
    margin_softmax,
    pair_losses,
    parts_of,
    triplet_losses,
)

IDENTITY = torch.tensor([0, 0, 1, 1, 2, 2, 2])


def unit(seed: int, count: int, width: int = 5) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, width, generator=rng, dtype=torch.float64), dim=1)


def squared(vectors: torch.Tensor) -> torch.Tensor:
    return (vectors[:, None] - vectors[None, :]).square().sum(dim=-1)


@pytest.mark.parametrize("kind", ["cosface", "arcface"])
@pytest.mark.parametrize("margin", [0.0, 0.35])
def test_softmax_with_a_margin_is_the_formula_of_its_paper(kind, margin):
    cosines = unit(1, 6) @ unit(2, 4).T
    identity = torch.tensor([0, 1, 2, 3, 0, 1])
    found = margin_softmax(cosines, identity, kind=kind, margin=margin, scale=10.0)
    for row, own in enumerate(identity.tolist()):
        angles = [math.acos(float(one)) for one in cosines[row]]
        moved = math.cos(angles[own]) - margin if kind == "cosface" else math.cos(angles[own] + margin)
        top = math.exp(10 * moved)
        rest = sum(math.exp(10 * math.cos(angle)) for k, angle in enumerate(angles) if k != own)
        assert angles[own] + margin < math.pi  # beyond it the paper's formula is not used
        assert float(found[row]) == pytest.approx(-math.log(top / (top + rest)), rel=1e-6)


@pytest.mark.parametrize("kind", ["cosface", "arcface"])
def test_a_picture_opposite_to_its_identity_still_gets_a_finite_gradient_towards_it(kind):
    cosines = torch.tensor([[-1.0, 0.2], [1.0, 0.2]], dtype=torch.float64, requires_grad=True)
    margin_softmax(cosines, torch.tensor([0, 0]), kind=kind, margin=0.5, scale=8.0).sum().backward()
    assert torch.isfinite(cosines.grad).all()
    assert cosines.grad[0, 0] < 0
    assert (cosines.grad[:, 1] > 0).all()


def by_hand(distances: np.ndarray, identity: list[int], margin: float, mining: str) -> list[float]:
    """Every anchor's triplets, one after the other."""
    found = []
    for a in range(len(identity)):
        positives = [p for p in range(len(identity)) if p != a and identity[p] == identity[a]]
        negatives = [n for n in range(len(identity)) if identity[n] != identity[a]]
        if mining == "hard":
            pairs = [(max(distances[a, p] for p in positives), min(distances[a, n] for n in negatives))]
        else:
            pairs = []
            for p in positives:
                beyond = [distances[a, n] for n in negatives if distances[a, n] > distances[a, p]]
                pairs.append((distances[a, p], min(beyond) if beyond else max(distances[a, n] for n in negatives)))
        found.append(sum(max(0.0, near - far + margin) for near, far in pairs) / len(pairs))
    return found


@pytest.mark.parametrize("mining", ["hard", "semi-hard"])
@pytest.mark.parametrize("seed", range(5))
def test_the_triplets_of_a_batch_are_those_that_a_search_finds(mining, seed):
    distances = squared(unit(seed, len(IDENTITY)))
    found = triplet_losses(distances, IDENTITY, margin=0.3, mining=mining)
    np.testing.assert_allclose(found, by_hand(distances.numpy(), IDENTITY.tolist(), 0.3, mining), rtol=1e-9)


def test_random_triplets_have_a_negative_of_another_identity_and_differ_between_positives():
    distances = squared(unit(3, len(IDENTITY)))
    found = triplet_losses(distances, IDENTITY, margin=10.0, mining="random")  # so large that every hinge is open
    for anchor, value in enumerate(found.tolist()):
        own = [p for p in range(7) if p != anchor and IDENTITY[p] == IDENTITY[anchor]]
        others = [n for n in range(7) if IDENTITY[n] != IDENTITY[anchor]]
        near = sum(float(distances[anchor, p]) for p in own) / len(own)
        choices = itertools.product(others, repeat=len(own))
        possible = [near - sum(float(distances[anchor, n]) for n in chosen) / len(own) + 10 for chosen in choices]
        assert min(abs(value - one) for one in possible) < 1e-9
    same = torch.ones(7, 7, dtype=torch.float64)
    assert torch.equal(triplet_losses(same, IDENTITY, margin=0.5, mining="random"), torch.full((7,), 0.5).double())


@pytest.mark.parametrize("mining", ["random", "hard", "semi-hard"])
@pytest.mark.parametrize("identity", [[0, 1, 2], [0, 0, 0], [0, 0, 1]])
def test_an_anchor_without_a_triplet_has_no_loss_and_no_gradient_that_is_not_a_number(mining, identity):
    vectors = unit(4, 3).requires_grad_()
    losses = triplet_losses(squared(vectors), torch.tensor(identity), margin=5.0, mining=mining)
    losses.sum().backward()
    assert torch.isfinite(vectors.grad).all()
    assert (losses.detach() > 0).tolist() == [identity.count(one) > 1 and len(set(identity)) > 1 for one in identity]


@given(st.integers(0, 10_000), st.sampled_from(["hard", "semi-hard"]))
@settings(max_examples=30, deadline=None)
def test_the_order_of_a_batch_changes_no_triplet(seed, mining):
    distances = squared(unit(seed, len(IDENTITY)))
    order = torch.randperm(len(IDENTITY), generator=torch.Generator().manual_seed(seed))
    whole = triplet_losses(distances, IDENTITY, margin=0.4, mining=mining)
    moved = triplet_losses(distances[order][:, order], IDENTITY[order], margin=0.4, mining=mining)
    torch.testing.assert_close(moved, whole[order])


def test_pairs_of_a_batch_weigh_one_identity_and_others_alike():
    logits = torch.tensor([[9.0, 0.5, 1.0], [0.5, 9.0, -2.0], [1.0, -2.0, 9.0]])
    found = pair_losses(logits, torch.tensor([0, 0, 1]))
    same, other, far = math.log1p(math.exp(0.5)), math.log1p(math.exp(-1.0)), math.log1p(math.exp(2.0))
    expected = [(same + other) / 2, (same + far) / 2, (other + far) / 2 / 2]  # the third has no pair of its own
    assert found.tolist() == pytest.approx(expected)


def test_contrastive_loss_on_paper():
    found = contrastive_losses(torch.tensor([0.25, 0.25, 4.0]), torch.tensor([True, False, False]))
    assert found.tolist() == pytest.approx([0.25, 0.25, 0.0], abs=1e-5)  # d = 0.5: (1 - 0.5)²


def test_chi_square_of_positive_features_is_that_of_the_paper():
    left, right = torch.tensor([[0.2, 0.6]]), torch.tensor([[0.4, 0.0]])
    assert parts_of(left, right, "chi-square").tolist()[0] == pytest.approx([0.04 / 0.6, 0.36 / 0.6], rel=1e-4)
    assert parts_of(left, right, "difference").tolist()[0] == pytest.approx([0.2, 0.6])


def test_the_layer_gives_unit_vectors_whose_squared_distance_is_two_minus_twice_their_cosine():
    torch.manual_seed(0)
    layer = IdentityLayer(torch.nn.Linear(6, 4), 4, 3, None)
    vectors = layer(torch.randn(5, 6))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))
    cosines = vectors @ vectors.T
    torch.testing.assert_close(layer.distances(vectors[:, None], vectors[None, :]), 2 - 2 * cosines, atol=1e-5, rtol=0)
    assert layer.cosines(vectors).abs().max() <= 1 + 1e-6
