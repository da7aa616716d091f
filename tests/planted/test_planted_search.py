"""A beam of one with a perfect model, and a wide beam with a spoilt one: the fault is found where it was planted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.nn.beam import END, log_probabilities, search
from gnomon.strategy.search_fault import fault_text, find_fault

TRAP, DIGITS, OTHERS = 3, range(4, 14), range(14, 18)
IDS, SENTENCES, ALPHA = 18, 400, 0.7
OF_TRAP, OF_DIGIT = 0.25, 0.1  # of texts that begin with the trap; of each digit behind it


class Memory(NamedTuple):
    here: torch.Tensor  # (B,)


class Chain(nn.Module):
    """The next id depends on the one before alone: (IDS, IDS) probabilities."""

    def __init__(self, probabilities: np.ndarray):
        super().__init__()
        self.logits = torch.from_numpy(np.log(probabilities + 1e-12))

    def encode(self, ids, lengths):
        return Memory(lengths)

    def begin(self, memory):
        return Memory(memory.here)

    def step(self, last, memory, state):
        return self.logits[last], state

    def reordered(self, state, rows):
        return state

    def forward(self, ids, lengths, before):
        return self.logits[before]


def truth() -> np.ndarray:
    """A quarter of the texts is the trap and one of ten digits, the others are one of four words."""
    table = np.zeros((IDS, IDS))
    table[END, TRAP], table[END, list(OTHERS)] = OF_TRAP, (1 - OF_TRAP) / len(OTHERS)
    table[TRAP, list(DIGITS)] = OF_DIGIT
    table[[*DIGITS, *OTHERS], END] = 1
    return table


def drawn(seed: int) -> list[list[int]]:
    """Texts from the truth."""
    rng, texts = np.random.default_rng(seed), []
    for _ in range(SENTENCES):
        is_trap = rng.random() < OF_TRAP
        texts.append([TRAP, int(rng.choice(DIGITS))] if is_trap else [int(rng.choice(OTHERS))])
    return texts


def fault(model: Chain, width: int, seed: int = 0):
    """Who is at fault where the texts that the search found are not those drawn; and how many are wrong."""
    ids, lengths, texts = torch.full((SENTENCES, 1), 3), torch.ones(SENTENCES, dtype=torch.int64), drawn(seed)
    found = [one[0] for one in search(model, ids, lengths, width=width, most=4, alpha=ALPHA)]
    wanted = log_probabilities(model, ids, lengths, texts).numpy() / np.array([len(one) + 1 for one in texts]) ** ALPHA
    wrong = np.array([one.ids != text for one, text in zip(found, texts, strict=True)])
    return find_fault(np.array([one.score for one in found]), wanted, wrong)


@pytest.mark.parametrize("seed", range(5))
def test_a_perfect_model_with_a_beam_of_one_is_let_down_by_its_search(seed):
    # greedy always walks into the trap: three quarters of the texts score higher than its answer, and of the others
    # nine in ten have another digit, which is as likely: 0.75 / (0.75 + 0.25 * 0.9)
    expected = (1 - OF_TRAP) / (1 - OF_TRAP + OF_TRAP * (1 - OF_DIGIT))
    found = fault(Chain(truth()), 1, seed)
    assert found.search.low < expected < found.search.high
    assert found.search.low > 0.5
    assert "widen the beam before" in fault_text(found)


@pytest.mark.parametrize("width", [4, 20])
def test_a_spoilt_model_with_a_wide_beam_is_at_fault_itself(width):
    spoilt = truth()
    spoilt[END, TRAP], spoilt[END, list(OTHERS)] = 0.9, 0.1 / len(OTHERS)
    spoilt[TRAP, list(DIGITS)] = 0.02
    spoilt[TRAP, DIGITS[0]] = 0.82
    found = fault(Chain(spoilt), width)
    assert found.model.value == 1
    assert fault_text(found).endswith("a better model is needed")


def test_what_a_perfect_model_cannot_know_is_no_fault_of_a_wide_beam():
    found = fault(Chain(truth()), 20)
    assert found.search.value == 0
    assert found.count > 0.7 * SENTENCES  # it can only name the likeliest word
