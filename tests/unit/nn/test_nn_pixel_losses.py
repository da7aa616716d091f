from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gnomon.nn.pixel_losses import FOCUS, SMOOTH, dice_loss, focal_loss, pixel_cross_entropy
from gnomon.reference import pixels

CASES = {
    "cross entropy": (pixel_cross_entropy, lambda z, t: pixels.cross_entropy(z, t)),
    "focal": (focal_loss, lambda z, t: pixels.cross_entropy(z, t, FOCUS)),
    "dice": (dice_loss, lambda z, t: pixels.dice(z, t, SMOOTH)),
}


def drawn(seed=0, pictures=3, classes=4, side=5):
    rng = np.random.default_rng(seed)
    target = rng.integers(-1, classes - 1, (pictures, side, side))  # the last class is in none of them
    return rng.normal(size=(pictures, classes, side, side)), target


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_of_the_equations(name):
    ours, equations = CASES[name]
    logits, target = drawn()
    given = torch.tensor(logits, requires_grad=True)
    losses = ours(given, torch.tensor(target))
    losses.sum().backward()
    for i in range(len(logits)):
        loss, gradient = equations(logits[i], target[i])
        assert float(losses[i].detach()) == pytest.approx(loss, abs=1e-12)
        np.testing.assert_allclose(given.grad[i].numpy(), gradient, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_pixels_that_are_not_scored_have_a_gradient_of_exactly_zero_and_no_say(name):
    loss, _ = CASES[name]
    logits, target = (torch.tensor(one) for one in drawn())
    given = logits.clone().requires_grad_()
    losses = loss(given, target)
    losses.sum().backward()
    left_out = (target == -1)[:, None].expand_as(logits)
    assert left_out.any()
    assert not given.grad[left_out].any()
    others = torch.where(left_out, 50 * torch.randn(logits.shape, dtype=torch.float64), logits)
    torch.testing.assert_close(loss(others, target), losses.detach())


@pytest.mark.parametrize("name", CASES)
def test_a_picture_without_scored_pixels_costs_nothing_and_moves_nothing(name):
    loss, _ = CASES[name]
    given = torch.randn(2, 3, 4, 4, requires_grad=True)
    target = torch.full((2, 4, 4), -1)
    target[1] = 0
    losses = loss(given, target)
    losses.sum().backward()
    assert float(losses[0].detach()) == 0.0
    assert torch.isfinite(losses).all()
    assert not given.grad[0].any()
    assert given.grad[1].any()


@pytest.mark.parametrize("name", CASES)
def test_a_loss_is_the_same_alone_and_in_company(name):
    loss, _ = CASES[name]
    logits, target = (torch.tensor(one) for one in drawn(seed=3))
    together = loss(logits, target)
    alone = torch.cat([loss(logits[i : i + 1], target[i : i + 1]) for i in range(len(logits))])
    torch.testing.assert_close(together, alone)


def test_even_guesses_cost_ln_k():
    target = torch.randint(0, 3, (2, 6, 6))
    assert pixel_cross_entropy(torch.zeros(2, 3, 6, 6), target).tolist() == pytest.approx([math.log(3)] * 2)


def test_the_dice_of_half_a_square_is_two_thirds():
    # 64 of 128 pixels are found for certain, nothing else is called so: 2 * 64 / (64 + 128) of the one class;
    # of the other, all 128 are found, and 64 more called so: 2 * 128 / (192 + 128); each with the smoothing
    target = torch.zeros(1, 16, 16, dtype=torch.int64)
    target[:, :8] = 1
    logits = torch.zeros(1, 2, 16, 16)
    logits[:, 1] = -60.0
    logits[:, 1, :4] = 60.0
    expected = 1 - ((2 * 64 + 1) / (64 + 128 + 1) + (2 * 128 + 1) / (192 + 128 + 1)) / 2
    assert float(dice_loss(logits, target)[0]) == pytest.approx(expected, abs=1e-6)
