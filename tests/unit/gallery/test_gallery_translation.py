"""What the claims about translation measure: each experiment once, tiny; and the parts that could mislead."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from claims import run_to_the_end

from gnomon.gallery import (
    _made_language,
    attention_by_length,
    beam_width,
    heads_removed,
    length_penalty,
    own_words,
    positions_removed,
)

TINY = {"TRAIN": 60, "EPOCHS": 1, "BATCH": 30}


@pytest.mark.parametrize(
    "module",
    [attention_by_length, beam_width, own_words, length_penalty, heads_removed, positions_removed],
    ids=lambda module: module.__name__.rpartition(".")[2],
)
def test_an_experiment_runs_to_verdict_table_and_figure(monkeypatch, module: ModuleType):
    for name, value in TINY.items():
        monkeypatch.setattr(_made_language, name, value)
    monkeypatch.setattr(length_penalty, "EPOCHS", 1)
    monkeypatch.setattr(length_penalty, "WIDTH", 2)
    run_to_the_end(module.CLAIM)


def test_a_translation_is_the_words_one_by_one_with_neighbours_exchanged():
    pairs = _made_language.drawn(50, np.random.default_rng(1))
    meaning: dict[int, int] = {}
    for source, size, target in zip(
        pairs.sources.tolist(), pairs.lengths.tolist(), pairs.targets.tolist(), strict=True
    ):
        words, said = source[: size - 1], target[: size - 1]
        assert source[size - 1] == target[size - 1] == 2
        assert source[size:] == target[size:] == [0] * (len(source) - size)
        for place, word in enumerate(words):
            other = place + 1 if place % 2 == 0 and place + 1 < len(words) else place - place % 2
            assert meaning.setdefault(word, said[other]) == said[other]
    assert len(set(meaning.values())) == len(meaning) == _made_language.WORDS


def test_the_score_of_the_true_translations_is_a_hundred():
    pairs = _made_language.drawn(20, np.random.default_rng(2))
    said = [row[: size - 1] for row, size in zip(pairs.targets.tolist(), pairs.lengths.tolist(), strict=True)]
    assert _made_language.bleu_of(said, pairs) == pytest.approx(100)
    assert _made_language.bleu_of(said[1:] + said[:1], pairs) < 20


def planted(after_own_late: float):
    """Two seeds, five points apart early; late as far as asked."""
    late = [(10.0, 10.0 + after_own_late), (12.0, 12.5 + after_own_late)]
    return own_words.Measured([[0.0]], [[0.0]], [(5.0, 5.5), (6.0, 6.4)], late)


def test_mistakes_that_pile_up_hold_and_equal_ones_do_not():
    assert [part.answer for part in own_words.judge(planted(20.0))] == ["holds", "holds"]
    assert own_words.judge(planted(-3.0))[0].answer != "holds"


def test_a_head_is_removed_alone_and_the_net_is_whole_again():
    net = _made_language.started_transformer(0).eval()
    pairs = _made_language.drawn(20, np.random.default_rng(3))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert len(heads_removed.wrong_without_each(net, pairs)) == 3 * _made_language.LAYERS * _made_language.HEADS
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert 0 <= heads_removed.wrong_words(net, pairs) <= 100


def test_a_transformer_without_places_reads_a_set_and_one_with_them_a_row():
    """Words of the source in another order: the same logits without places, others with them."""
    ids, lengths, before = torch.tensor([[5, 6, 7, 2]]), torch.tensor([4]), torch.tensor([[2, 8, 9]])
    other = ids[:, [2, 0, 1, 3]]
    for has_places in (False, True):
        net = _made_language.started_transformer(0, has_places=has_places).eval()
        one, two = net(ids, lengths, before), net(other, lengths, before)
        assert torch.allclose(one, two, atol=1e-5) is not has_places


def test_words_are_counted_in_any_order_each_as_often_as_it_is_there():
    """Of 2 + 1 words the first answer has one of two, the second all: 2 of 3."""
    pairs = _made_language.Pairs(
        torch.tensor([[3, 4, 2], [5, 2, 0]]), torch.tensor([3, 2]), torch.tensor([[8, 9, 2], [7, 2, 0]])
    )
    assert positions_removed.words_of([[9, 9], [7, 7]], pairs) == pytest.approx(200 / 3)
