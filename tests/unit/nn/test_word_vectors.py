"""Losses of word vectors equal pairs one by one in NumPy, whose gradients are checked by differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnomon.nn.word_vectors import ENOUGH, POWER, Blocks, Negatives, Ways, descend, glove_losses, loss
from gnomon.reference import word_vectors as reference

WORDS, DIMS, WINDOW, SIZE, BLOCKS, PER_PAIR = 7, 3, 2, 4, 3, 5
KINDS = [(method, is_tree) for method in ("skipgram", "cbow") for is_tree in (False, True)]


def tables(is_tree: bool) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(4)
    inputs = torch.randn(WORDS, DIMS, generator=chance, dtype=torch.float64)
    return inputs, torch.randn(WORDS - is_tree, DIMS, generator=chance, dtype=torch.float64)


def blocks(is_tree: bool) -> Blocks:
    """With words that come several times, and a position that has nothing near it."""
    chance = torch.Generator().manual_seed(5)
    width = SIZE + 2 * WINDOW
    words = torch.randint(0, WORDS, (BLOCKS, width), generator=chance)
    offsets = torch.arange(width) - torch.arange(SIZE)[:, None] - WINDOW
    near = ((offsets.abs() <= torch.randint(0, 3, (BLOCKS, SIZE, 1), generator=chance)) & (offsets != 0)).double()
    near[1, 2] = 0
    if not is_tree:
        return Blocks(words, near, Negatives(torch.randint(0, WORDS, (BLOCKS, 6), generator=chance), PER_PAIR))
    turns = torch.randint(0, 2, (BLOCKS, SIZE, 3), generator=chance).double() * 2 - 1
    turns[:, 1, 2] = 0
    return Blocks(words, near, Ways(torch.randint(0, WORDS - 1, (BLOCKS, SIZE, 3), generator=chance), turns))


def by_pairs(
    method: str, inputs: np.ndarray, outputs: np.ndarray, batch: Blocks
) -> tuple[float, np.ndarray, np.ndarray]:
    total, d_inputs, d_outputs = 0.0, np.zeros_like(inputs), np.zeros_like(outputs)
    for block in range(BLOCKS):
        if isinstance(batch.against, Ways):
            more = {"nodes": batch.against.nodes[block].numpy(), "turns": batch.against.turns[block].numpy()}
        else:
            more = {"others": batch.against.words[block].numpy(), "k": PER_PAIR}
        found = reference.blocks(method, inputs, outputs, batch.words[block].numpy(), batch.near[block].numpy(), **more)
        total, d_inputs, d_outputs = total + found[0], d_inputs + found[1], d_outputs + found[2]
    return total, d_inputs, d_outputs


@pytest.mark.parametrize(("method", "is_tree"), KINDS)
def test_a_batch_is_all_its_pairs_and_a_step_is_against_their_gradient(method, is_tree):
    (inputs, outputs), batch = tables(is_tree), blocks(is_tree)
    total, d_inputs, d_outputs = by_pairs(method, inputs.numpy(), outputs.numpy(), batch)
    one, two = (table.clone().requires_grad_() for table in (inputs, outputs))
    found = loss(method, one, two, batch)
    found.backward()
    assert found.item() == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(one.grad, d_inputs, atol=1e-12)
    np.testing.assert_allclose(two.grad, d_outputs, atol=1e-12)
    one, two = inputs.clone(), outputs.clone()
    assert descend(method, one, two, batch, 0.1).item() == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(one, inputs.numpy() - 0.1 * d_inputs, atol=1e-12)
    np.testing.assert_allclose(two, outputs.numpy() - 0.1 * d_outputs, atol=1e-12)


@pytest.mark.parametrize(("method", "is_tree"), KINDS)
def test_gradients_of_pairs_are_differences(method, is_tree):
    inputs, outputs = (table.numpy() for table in tables(is_tree))
    batch, step = blocks(is_tree), 1e-6
    _, *gradients = by_pairs(method, inputs, outputs, batch)
    for table, gradient in zip((inputs, outputs), gradients, strict=True):
        for place in np.ndindex(*table.shape):
            sides = []
            for sign in (1, -1):
                table[place] += sign * step
                sides.append(by_pairs(method, inputs, outputs, batch)[0])
                table[place] -= sign * step
            assert gradient[place] == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=1e-6)


def test_glove_weighs_squares_by_how_often_a_pair_was_seen():
    rng = np.random.default_rng(0)
    w, u, b, c, seen = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=4), None
    seen = np.array([0.2, 1, 30, 500])
    given = [torch.from_numpy(one).requires_grad_() for one in (w, u, b, c)]
    losses = glove_losses(*given, torch.from_numpy(seen))
    losses.sum().backward()
    for i in range(4):
        total, by_own, by_other = reference.glove(w[i], u[i], b[i], c[i], seen[i], enough=ENOUGH, power=POWER)
        assert losses[i].item() == pytest.approx(total)
        np.testing.assert_allclose(np.append(given[0].grad[i], given[2].grad[i]), by_own)
        np.testing.assert_allclose(np.append(given[1].grad[i], given[3].grad[i]), by_other)
    shifted, *_ = reference.glove(w[0] + [1e-6, 0, 0], u[0], b[0], c[0], 0.2, enough=ENOUGH, power=POWER)
    start, by_own, _ = reference.glove(w[0], u[0], b[0], c[0], 0.2, enough=ENOUGH, power=POWER)
    assert by_own[0] == pytest.approx((shifted - start) / 1e-6, abs=1e-4)


def test_a_loss_that_is_not_finite_changes_nothing():
    inputs, outputs = tables(is_tree=False)
    inputs[0] = float("nan")
    one, two = inputs.clone(), outputs.clone()
    assert not torch.isfinite(descend("skipgram", one, two, blocks(is_tree=False), 0.1))
    assert torch.equal(two, outputs)
