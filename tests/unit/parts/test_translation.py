"""Pairs of texts: their ids, losses that weigh pieces, answers that are searched for, what is an error."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional

from gnomon import tasks
from gnomon.core.example import index_frame
from gnomon.core.settings import from_flat
from gnomon.data.text.pairs import pairs_of
from gnomon.data.text.tokens import END, PADDING, SPECIAL
from gnomon.parts.pairs import PairEncoder, are_short, one_of, parts_of, ragged, share_letters, texts_of
from gnomon.parts.translation import Answer, TranslationHead, TranslationJudge, nats, perplexity
from gnomon.training.evaluate import encode_whole
from gnomon.workflow.road.settings import recipe

SOURCES = ["a dog runs", "a cat sleeps", "two dogs run", "the cat runs"] * 3
TARGETS = [["ein Hund rennt", "Hund rennt"], ["eine Katze schläft"], ["zwei Hunde rennen"], ["die Katze rennt"]] * 3


def examples(sources=SOURCES, targets=TARGETS):
    return pairs_of(sources, targets, index_frame([f"line {i}" for i in range(len(sources))]), ("en", "de"))


def fitted(pairs=None, **settings):
    kind = tasks.load("translation")
    return kind.from_train(pairs or examples(), from_flat({"task": "translation", **settings}))


def batch_of(task, pairs=None, rows=None):
    pairs = pairs or examples()
    columns = encode_whole(task, pairs)
    return task.collate(columns, torch.arange(len(pairs)) if rows is None else torch.tensor(rows))


def test_both_sides_end_and_are_padded_behind():
    batch = batch_of(fitted(level="word", judged_by="chrf"), rows=[0, 2])
    assert batch["ids"].shape == (2, 4)
    assert batch["ids"][:, -1].tolist() == [END, END]
    assert batch["target"][:, -1].tolist() == [END, END]
    assert batch["length"].tolist() == [4, 4]
    assert batch["weight"].tolist() == [4.0, 4.0]
    assert texts_of(batch["text"]) == ["a dog runs", "two dogs run"]
    assert parts_of(batch["reference"]) == [["ein Hund rennt", "Hund rennt"], ["zwei Hunde rennen"]]


def test_what_a_subword_or_character_level_writes_is_the_target_again():
    for level in ("character", "subword"):
        task = fitted(level=level, vocabulary=2_000)
        batch = batch_of(task)
        numbering_ids = [[int(one) for one in row if one not in (PADDING, END)] for row in batch["target"]]
        judge = task.judge
        from gnomon.data.text.tokens import Numbering

        numbering = Numbering(judge.vocabulary, judge.level, judge.subwords)
        assert [numbering.text(ids) for ids in numbering_ids] == [some[0] for some in TARGETS]


def test_one_of_several_references_is_the_segment_before_its_end():
    choices = torch.tensor([[5, 6, END, 7, END, 0], [8, END, 9, 9, 9, END]])
    assert one_of(choices, torch.tensor([0, 0])).tolist() == [[5, 6, END], [8, END, 0]]
    assert one_of(choices, torch.tensor([1, 1])).tolist() == [[7, END, 0, 0], [9, 9, 9, END]]


def test_training_draws_each_reference_about_equally_often():
    task = fitted(level="word", judged_by="chrf")
    batch = batch_of(task, rows=[0])
    generator = torch.Generator().manual_seed(0)
    lengths = [
        int((task.encoder.augment(dict(batch), from_flat({}).regularise, generator)["target"] != 0).sum())
        for _ in range(400)
    ]
    assert sorted(set(lengths)) == [3, 4]
    assert 160 < lengths.count(3) < 240  # binomial: 200, deviation 10


def test_the_loss_of_a_pair_is_the_mean_over_its_pieces():
    """By hand: the logits say 3 for the true piece and 0 for the other V - 1, at every place."""
    head = fitted(level="word", judged_by="chrf").head
    target = torch.tensor([[4, 5, END], [4, END, PADDING]])
    num_ids = SPECIAL + len(head.vocabulary)
    logits = 3.0 * functional.one_hot(target, num_ids).float()
    batch = {"target": target, "smoothing": torch.zeros(2)}
    expected = math.log(math.exp(3) + num_ids - 1) - 3
    torch.testing.assert_close(head.losses(logits, batch), torch.full((2,), expected))


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_smoothed_losses_are_those_of_torch(share):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 11, generator=generator, dtype=torch.float64)
    target = torch.tensor([[3, 4, 5, END, 0], [7, END, 0, 0, 0], [3, 3, 3, 3, END]])
    found = nats(logits, target, torch.full((3,), share, dtype=torch.float64))
    theirs = functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), reduction="none", ignore_index=PADDING, label_smoothing=share
    ).view(3, 5)
    torch.testing.assert_close(found, theirs)


def test_short_targets_are_right_or_wrong_and_sentences_by_chrf():
    assert are_short(["2016-03-05", "2016-03-06"])
    assert not are_short(["ein Hund rennt durch den Garten", "eine Katze schläft auf dem Sofa"])
    short = fitted(examples(["5 March", "6 March"], [["03-05"], ["03-06"]]))
    assert short.judge.error_name == "not an exact match"
    assert short.encoder.level == "character"
    np.testing.assert_array_equal(short.judge.errors_of(["03-05", "03-0"], [["03-05"], ["03-06"]]), [0.0, 1.0])
    sentences = fitted(judged_by="chrf").judge
    errors = sentences.errors_of(
        ["Hund rennt", "eine Katze"], [["ein Hund rennt", "Hund rennt"], ["eine Katze schläft"]]
    )
    assert errors[0] == 0.0
    assert 0.2 < errors[1] < 0.8


def test_words_are_compared_as_they_are_told_apart():
    """Between words of level=word no space is kept: "12 - 05" is all that it can write of "12-05"."""
    judge = fitted(examples(["a b", "c d"] * 4, [["12-05"], ["12-06"]] * 4), level="word").judge
    np.testing.assert_array_equal(judge.errors_of(["12 - 05", "12 - 06"], [["12-05"], ["12-05"]]), [0.0, 1.0])


def test_sides_that_share_their_letters_have_one_vocabulary_of_subwords():
    assert share_letters(["a dog runs"], ["rund angst"])
    assert not share_letters(["a dog runs"], ["собака бежит"])
    assert not share_letters(["12"], ["34"])


def test_facts_of_targets_are_the_heads_and_the_judges():
    task = fitted(level="word", target_level="character", beam=2, n_best=2, length_alpha=0.3)
    assert isinstance(task.head, TranslationHead)
    assert isinstance(task.encoder, PairEncoder)
    assert isinstance(task.judge, TranslationJudge)
    assert (task.head.level, task.judge.level) == ("character", "character")
    assert task.judge.vocabulary == task.encoder.target_vocabulary
    assert (task.judge.beam, task.judge.n_best, task.judge.length_alpha) == (2, 2, 0.3)


class Scripted(torch.nn.Module):
    """Says of every source the same: at place t piece script[t] with probability 0.6, `other` with 0.3."""

    def __init__(self, num_ids, script, other):
        super().__init__()
        rest = 0.1 / (num_ids - 2)
        rows = torch.full((len(script), num_ids), math.log(rest))
        rows[range(len(script)), script] = math.log(0.6)
        rows[range(len(script)), other] = math.log(0.3)
        self.rows = rows

    def encode(self, ids, lengths):
        return (ids,)

    def begin(self, memory):
        from typing import NamedTuple

        class State(NamedTuple):
            place: torch.Tensor

        return State(torch.zeros(len(memory[0]), dtype=torch.int64))

    def step(self, last, memory, state):
        at = state.place.clamp_max(len(self.rows) - 1)
        return self.rows[at][:, None].expand(-1, last.shape[1], -1), type(state)(state.place + 1)

    def reordered(self, state, rows):
        return state

    def forward(self, ids, lengths, before):
        places = torch.arange(before.shape[1]).clamp_max(len(self.rows) - 1)
        return self.rows[places].expand(len(ids), -1, -1)


def test_answers_carry_their_log_probability_and_that_of_the_reference():
    task = fitted(examples(["x", "y"] * 4, [["ab"], ["ba"]] * 4), level="character", beam=3, n_best=2)
    a, b = (SPECIAL + task.judge.vocabulary.index(one) for one in "ab")
    model = Scripted(SPECIAL + len(task.judge.vocabulary), [a, b, END], [b, a, a])
    pairs = examples(["x", "y"], [["ab"], ["ba"]])
    batch = batch_of(task, pairs)
    found = task.judge.predict(model, task.outputs(model, batch), batch)
    assert [one.text for one in found.values] == ["ab", "ab"]
    columns = found.columns
    np.testing.assert_allclose(columns["log_probability"], [3 * math.log(0.6)] * 2, rtol=1e-5)
    np.testing.assert_allclose(
        columns["reference_log_probability"], [3 * math.log(0.6), 2 * math.log(0.3) + math.log(0.6)], rtol=1e-5
    )
    np.testing.assert_allclose(columns["score"], [3 * math.log(0.6) / 3**0.7] * 2, rtol=1e-5)
    np.testing.assert_allclose(found.confidence, [0.6**3] * 2, rtol=1e-5)
    best = json.loads(columns["n_best"][0])
    assert best[0]["prediction"] == "ab"
    assert len(best) == 2
    assert best[0]["score"] > best[1]["score"]
    np.testing.assert_array_equal(task.judge.errors(found.values, batch), [0.0, 1.0])


def test_references_of_the_floor_are_answers_that_need_no_net():
    train = examples(["der rote Hund", "die alte Katze", "der alte Hund"], [["red dog"], ["old cat"], ["old cat"]])
    task = fitted(train, level="word", judged_by="exact")
    dev = examples(["die alte Katze hier", "der rote Hund da", "red dog"], [["old cat"], ["red dog"], ["red dog"]])
    found = task.judge.reference_errors(encode_whole(task, train), encode_whole(task, dev))
    assert {name: errors.tolist() for name, errors in found.items()} == {
        "always 'old cat'": [0.0, 1.0, 1.0],
        "the source itself": [1.0, 1.0, 0.0],
        "the target of the nearest source": [0.0, 0.0, 0.0],  # of "red dog" no word is known: the first counts
    }


def test_a_source_without_anything_known_is_told_about():
    task = fitted(level="word", judged_by="chrf")
    table = pl.DataFrame({"unknown": [2, 0], "length": [4, 40], "uncut": [4, 60]})
    notes = " ".join(task.judge.about_answers(table))
    assert "2 of 44 pieces of the sources are unknown" in notes
    assert "1 source cut" in notes
    assert "1 source longer than any in training, of 3 pieces" in notes


def test_what_people_get_is_the_error_of_one_reference_by_the_others():
    """Worked out with sacrebleu: of two references that agree 0, of others 1 - chrF of the first by the second."""
    from sacrebleu.metrics import CHRF

    judge = fitted(judged_by="chrf").judge
    references = [["ein Hund rennt", "Hund rennt"], ["eine Katze"], ["zwei Hunde", "zwei Hunde"]]
    table = pl.DataFrame({"references": [json.dumps(some) for some in references], "error": [1.0, 1.0, 1.0]})
    found = judge.between_people(table)
    expected = 1 - CHRF().sentence_score("ein Hund rennt", ["Hund rennt"]).score / 100
    np.testing.assert_allclose(found["error"], [expected, 0.0], atol=1e-6)
    assert judge.between_people(table[1:2]) is None


def test_texts_with_odd_characters_come_back_whole():
    texts = ["", "a", "ÿþ", "\x00x", "日本 " * 3]
    column = ragged([np.frombuffer(one.encode(), np.uint8) for one in texts])
    assert texts_of(column) == texts
    assert texts_of(column.pad(torch.arange(len(texts)), 0xFF)) == texts


def test_an_answer_of_the_truth_has_no_error():
    task = fitted(judged_by="chrf", level="subword", vocabulary=2_000)
    batch = batch_of(task)
    targets = task.judge.targets(batch)
    assert isinstance(targets[0], Answer)
    assert not task.judge.errors(targets, batch).any()


def test_the_reference_that_is_compared_is_the_one_with_the_highest_score():
    """Of the two references "ba" and "ab" the model scores the second as its answer; it has no piece for the third."""
    task = fitted(examples(["x", "y"] * 4, [["ab"], ["ba"]] * 4), level="character", beam=3)
    assert not task.head.is_several
    a, b = (SPECIAL + task.judge.vocabulary.index(one) for one in "ab")
    model = Scripted(SPECIAL + len(task.judge.vocabulary), [a, b, END], [b, a, a])
    batch = batch_of(task, examples(["x", "y", "x"], [["ba", "ab"], ["ba"], ["zb", "ba"]]))
    columns = task.judge.predict(model, task.outputs(model, batch), batch).columns
    ab, ba = 3 * math.log(0.6), 2 * math.log(0.3) + math.log(0.6)
    np.testing.assert_allclose(columns["reference_log_probability"], [ab, ba, ba], rtol=1e-5)
    np.testing.assert_allclose(columns["reference_score"], np.array([ab, ba, ba]) / 3**0.7, rtol=1e-5)
    assert columns["reachable"].tolist() == [True, True, True]


def test_the_perplexity_is_that_of_all_pieces_together():
    """By hand: 3 pieces of 1 nat each and 1 of 5 are 8 nats of 4 pieces: exp 2."""
    found = perplexity(pl.DataFrame({"loss": [1.0, 5.0], "target_pieces": [3, 1], "group": ["a", "b"]}))
    assert found.value == pytest.approx(math.exp(2))
    assert 1 <= found.low <= found.value <= found.high


def test_short_targets_in_characters_are_learned_by_a_recurrent_net_unless_another_is_asked_for():
    dates = examples(["3 May 1979", "4 May 1979"] * 6, [["1979-05-03"], ["1979-05-04"]] * 6)
    names = {}
    for pairs, given in ((dates, {}), (dates, {"model": "transformer"}), (examples(), {"judged_by": "chrf"})):
        settings = from_flat({"task": "translation", **given})
        found = recipe(tasks.load("translation").from_train(pairs, settings), settings, 20_000)
        names[len(names)] = found["model.name"], found["stop.epochs"]
    assert names == {0: ("seq2seq-attention", 4), 1: ("transformer", 30), 2: ("transformer", 30)}
