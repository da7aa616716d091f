"""Beam search against every text there is, against greedy search, and against itself without its shortcuts."""

import itertools
import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.family import PairInputs
from gnomon.models._transformer_pairs import TransformerPairs
from gnomon.models.encoder_decoder import EncoderDecoder
from gnomon.nn.beam import END, PADDING, log_probabilities, search
from gnomon.nn.initialise import initialise

IDS = 5  # 0 pads, 1 and 3 and 4 are words, 2 ends
WORDS = (1, 3, 4)


class Memory(NamedTuple):
    tables: torch.Tensor  # (B, IDS, IDS)


class State(NamedTuple):
    drift: torch.Tensor  # (B, W)


class Chain(nn.Module):
    """The next id depends on the one before, on the source, and a little on how often a word has been said."""

    def __init__(self, seed: int, spread: float):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.tables = torch.randn(4, IDS, IDS, generator=draw, dtype=torch.float64) * spread

    def encode(self, ids, lengths):
        return Memory(self.tables[ids[:, 0] % 4])

    def begin(self, memory):
        return State(torch.zeros(len(memory.tables), 1, dtype=torch.float64))

    def step(self, last, memory, state):
        drift = state.drift.expand_as(last) + (last == 3)
        logits = memory.tables.gather(1, last[..., None].expand(-1, -1, memory.tables.shape[2])).clone()
        logits[..., 4] += 0.3 * drift
        return logits, State(drift)

    def reordered(self, state, rows):
        return State(state.drift.gather(1, rows))

    def forward(self, ids, lengths, before):
        memory, said = self.encode(ids, lengths), []
        state = self.begin(memory)
        for place in range(before.shape[1]):
            logits, state = self.step(before[:, place : place + 1], memory, state)
            said.append(logits[:, 0])
        return torch.stack(said, dim=1)


chains = st.builds(Chain, seed=st.integers(0, 10_000), spread=st.floats(0.2, 4))
alphas = st.sampled_from([0.0, 0.5, 0.7, 1.0, 1.5])
SOURCES = torch.arange(4)[:, None]
LENGTHS = torch.ones(4, dtype=torch.long)


def every_text(model, source, most, alpha, allowed=lambda text: True):
    """[(score, text)], the best first: each text of at most `most` ids with its END, scored by `forward` alone."""
    texts = [list(text) for size in range(most) for text in itertools.product(WORDS, repeat=size)]
    texts = [text for text in texts if allowed(text)]
    found = []
    for text in texts:
        before = torch.tensor([[END, *text]])
        logits = model(source, torch.ones(1), before)[0].log_softmax(dim=1)
        total = sum(float(logits[place, word]) for place, word in enumerate([*text, END]))
        found.append((total / (len(text) + 1) ** alpha, text))
    return sorted(found, reverse=True)


def greedy(model, source, most):
    words = [END]
    while len(words) < most:
        logits = model(source, torch.ones(1), torch.tensor([words]))[0, -1].clone()
        logits[PADDING] = -torch.inf
        words.append(int(logits.argmax()))
        if words[-1] == END:
            return words[1:-1]
    return words[1:]


@settings(max_examples=30, deadline=None)
@given(model=chains, alpha=alphas, most=st.integers(1, 4))
def test_with_full_width_it_finds_what_trying_every_text_finds(model, alpha, most):
    count = sum(3**size for size in range(most))
    found = search(model, SOURCES, LENGTHS, width=3**most, most=most, alpha=alpha, n_best=min(5, count))
    for row in range(4):
        best = every_text(model, SOURCES[row : row + 1], most, alpha)[:5]
        assert [one.score for one in found[row]] == pytest.approx([score for score, _ in best], rel=1e-9)
        assert [one.ids for one in found[row]] == [text for _, text in best]


@settings(max_examples=30, deadline=None)
@given(model=chains, most=st.integers(1, 9))
def test_a_beam_of_one_is_greedy(model, most):
    found = search(model, SOURCES, LENGTHS, width=1, most=most)
    assert [one[0].ids for one in found] == [greedy(model, SOURCES[row : row + 1], most) for row in range(4)]


@settings(max_examples=60, deadline=None)
@given(
    model=chains, alpha=alphas, most=st.integers(1, 9), width=st.integers(2, 5), no_repeat=st.integers(0, 3),
    least=st.integers(0, 3),
)  # fmt: skip
def test_no_answer_scores_less_than_greedys(model, alpha, most, width, no_repeat, least):
    options = {"most": most, "alpha": alpha, "no_repeat": no_repeat, "least": least}
    wide = search(model, SOURCES, LENGTHS, width=width, **options)
    narrow = search(model, SOURCES, LENGTHS, width=1, **options)
    assert all(one[0].score >= other[0].score - 1e-9 for one, other in zip(wide, narrow, strict=True))


def test_the_greedy_text_is_not_lost_where_others_look_better_on_the_way():
    """Its second word is less likely than those of two others, which then lead nowhere."""
    start, a, b, c, d, h, i = END, 3, 4, 5, 6, 7, 8
    table = torch.full((28, 28), -30.0, dtype=torch.float64)
    nowhere = dict.fromkeys((END, *range(9, 28)), 0.05)
    odds = {
        start: {a: 0.4, b: 0.3, c: 0.3},
        a: {d: 0.3, 9: 0.25, 10: 0.25, 11: 0.2}, b: {h: 0.5, i: 0.5}, c: {h: 0.5, i: 0.5},
        d: {END: 1.0}, h: nowhere, i: nowhere,
    }  # fmt: skip
    for last, following in odds.items():
        for word, probability in following.items():
            table[last, word] = math.log(probability)
    model = Chain(0, 1.0)
    model.tables = table.expand(4, -1, -1).clone()
    for width in (1, 2, 3):
        best = search(model, SOURCES[:1], LENGTHS[:1], width=width, most=6)[0][0]
        assert best.ids == [a, d]
        assert best.log_probability == pytest.approx(math.log(0.4 * 0.3), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(model=chains, alpha=alphas, most=st.integers(1, 12), width=st.integers(1, 5))
def test_ending_early_changes_nothing(model, alpha, most, width):
    options = {"width": width, "most": most, "alpha": alpha, "n_best": min(width, 3)}
    assert search(model, SOURCES, LENGTHS, **options) == search(model, SOURCES, LENGTHS, **options, ends_early=False)


@settings(max_examples=40, deadline=None)
@given(model=chains, alpha=alphas, most=st.integers(2, 9), width=st.integers(2, 5))
def test_the_n_best_are_sorted_different_and_cost_what_the_model_says(model, alpha, most, width):
    found = search(model, SOURCES, LENGTHS, width=width, most=most, alpha=alpha, n_best=width)
    for row, texts in enumerate(found):
        assert texts
        assert [one.score for one in texts] == sorted((one.score for one in texts), reverse=True)
        assert len({tuple(one.ids) for one in texts}) == len(texts)
        assert all(set(one.ids) <= set(WORDS) and len(one.ids) < most for one in texts)
        source = SOURCES[row : row + 1].expand(len(texts), 1)
        sums = log_probabilities(model, source, torch.ones(len(texts)), [one.ids for one in texts])
        assert sums.tolist() == pytest.approx([one.log_probability for one in texts], rel=1e-9)
        assert [one.log_probability / (len(one.ids) + 1) ** alpha for one in texts] == pytest.approx(
            [one.score for one in texts], rel=1e-9
        )


def repeats(text, number):
    rows = [tuple(text[place : place + number]) for place in range(len(text) - number + 1)]
    return len(set(rows)) < len(rows)


@settings(max_examples=40, deadline=None)
@given(model=chains, number=st.integers(1, 3), least=st.integers(0, 2))
def test_what_is_not_allowed_is_not_found_and_the_best_of_the_rest_is(model, number, least):
    def allowed(text):
        return len(text) >= least and not repeats(text, number)

    found = search(model, SOURCES, LENGTHS, width=81, most=4, no_repeat=number, least=least)
    for row in range(4):
        score, text = every_text(model, SOURCES[row : row + 1], 4, 0.7, allowed)[0]
        assert found[row][0].ids == text
        assert found[row][0].score == pytest.approx(score, rel=1e-9)


def test_where_nothing_else_may_follow_a_text_ends_though_it_is_too_short():
    found = search(Chain(0, 1.0), SOURCES, LENGTHS, width=2, most=9, no_repeat=1, least=8)
    assert [len(set(one[0].ids)) for one in found] == [3] * 4


def test_each_sentence_has_its_own_longest_text():
    model = Chain(1, 0.1)
    model.tables[:, :, END] = -20
    found = search(model, SOURCES, LENGTHS, width=3, most=torch.tensor([3, 1, 7, 2]), alpha=0.0)
    assert [len(one[0].ids) for one in found] == [2, 0, 6, 1]


@pytest.mark.parametrize("given", [{"width": 0}, {"width": 2, "n_best": 3}, {"width": 2, "alpha": -0.1}])
def test_a_beam_that_can_not_answer_is_refused(given):
    with pytest.raises(UsageError, match="at least n_best"):
        search(Chain(0, 1.0), SOURCES, LENGTHS, most=3, **given)


INPUTS = PairInputs(40, 12, 30, 12)
NETS = {
    "transformer": lambda: TransformerPairs(INPUTS, width=16, layers=2, heads=2, dropout=0.0),
    "published": lambda: TransformerPairs(INPUTS, width=16, layers=2, heads=2, dropout=0.0, norm="after"),
    "attention": lambda: EncoderDecoder(
        INPUTS, cell="lstm", units=12, layers=2, embedding=8, dropout=0.0, attends=True
    ),
    "none": lambda: EncoderDecoder(INPUTS, cell="gru", units=12, layers=1, embedding=8, dropout=0.0, attends=False),
}


class Uncached(nn.Module):
    """The same model, which reads a text from its beginning at every step."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def encode(self, ids, lengths):
        return SourceMemory(ids, lengths)

    def begin(self, memory):
        return Words(torch.empty(len(memory.ids), 1, 0, dtype=torch.long))

    def step(self, last, memory, state):
        words = torch.cat([state.words, last[..., None]], dim=2)
        said = [self.model(*memory, words[:, number])[:, -1] for number in range(words.shape[1])]
        return torch.stack(said, dim=1), Words(words)

    def reordered(self, state, rows):
        return Words(state.words.gather(1, rows[..., None].expand(-1, -1, state.words.shape[2])))


class SourceMemory(NamedTuple):
    ids: torch.Tensor
    lengths: torch.Tensor


class Words(NamedTuple):
    words: torch.Tensor


@pytest.mark.parametrize("name", NETS)
def test_alone_in_a_batch_and_without_what_is_kept_the_same_texts_are_found(name):
    torch.manual_seed(4)
    model = NETS[name]().eval()
    initialise(model, "xavier", torch.Generator().manual_seed(2), scale=2.0)
    with torch.no_grad():  # sharper than a net is at the start, and no early ends: other texts for other sources
        model.target_embedding.weight.mul_(1.0 if name == "transformer" else 3.0)
        model.bias[END] = -6.0 if name == "transformer" else -3.0
    lengths = torch.randint(1, 13, (32,))
    ids = torch.randint(3, 40, (32, 12)) * (torch.arange(12) < lengths[:, None])
    options = {"width": 4, "most": 14, "n_best": 3}
    together = search(model, ids, lengths, **options)
    assert len({tuple(one[0].ids) for one in together}) > 10
    uncached = search(Uncached(model), ids, lengths, **options)
    for row in range(32):
        alone = search(model, ids[row : row + 1, : lengths[row]], lengths[row : row + 1], **options)[0]
        for other in (alone, uncached[row]):
            assert [one.ids for one in other] == [one.ids for one in together[row]]
            assert [one.score for one in other] == pytest.approx(
                [one.score for one in together[row]], rel=1e-4, abs=1e-5
            )
