"""The best path through tags: equal to the best of all paths, written out."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.nn.tag_paths import best_path


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 3))
def test_the_best_path_is_the_best_of_all_that_are_allowed(seed, steps, tags):
    drawn = torch.Generator().manual_seed(seed)
    scores = torch.randn(3, steps, tags, generator=drawn)
    lengths = torch.randint(1, steps + 1, (3,), generator=drawn)
    follows = torch.rand(tags, tags, generator=drawn) < 0.6
    follows[0] = follows[:, 0] = True  # there is always a way
    starts = torch.tensor([True] + [False] * (tags - 1))
    found = best_path(scores, lengths, follows, starts)
    for row, size in enumerate(lengths.tolist()):
        paths = [
            path
            for path in itertools.product(range(tags), repeat=size)
            if starts[path[0]] and all(follows[one, two] for one, two in itertools.pairwise(path))
        ]
        best = max(paths, key=lambda path: sum(float(scores[row, at, tag]) for at, tag in enumerate(path)))
        assert found[row, :size].tolist() == list(best)


def test_padding_changes_no_path():
    scores = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(1))
    every = torch.ones(3, 3, dtype=torch.bool)
    short = best_path(scores[:, :2], torch.tensor([2]), every, every[0])
    assert best_path(scores, torch.tensor([2]), every, every[0])[:, :2].equal(short)
