"""BLEU, chrF and TER against sacrebleu on real sentences, by hand, and where other libraries are known to differ."""

from __future__ import annotations

import random

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.metrics.bleu import bleu, counts
from gnomon.metrics.chrf import sentence_chrf
from gnomon.metrics.translation import signature, tokens_of, translation_metrics

PLAIN = [
    "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
    'Zwei Kinder (etwa 3 Jahre alt) rufen: "Komm!" & lachen – für 3.50 € im Bus.',
    "A Boston Terrier is running on lush green grass in front of a white fence.",
    "Zwei Männer.",
    "ja",
    "Ein kleines Mädchen klettert in ein Spielhaus aus Holz, das dort steht.",
    "Der Hund läuft über saftig-grünes Gras; er bellt nicht mehr.",
    "",
]
WORDS = st.lists(st.sampled_from(["a", "b", "ab", ",", ".", "Ü", "3.5", "don't"]), max_size=7).map(" ".join)


def spoilt(text: str, rng: random.Random) -> str:
    """Words left out, repeated, exchanged and moved."""
    words = text.split()
    kept = [rng.choice(words) if rng.random() < 0.1 else word for word in words if rng.random() > 0.1]
    if len(kept) > 3 and rng.random() < 0.4:
        kept.insert(rng.randrange(len(kept)), kept.pop(0))
    return " ".join(kept)


def of_sacrebleu(texts, references):
    streams = list(map(list, zip(*references, strict=True)))
    metrics = {"BLEU": sacrebleu.BLEU(), "chrF": sacrebleu.CHRF(), "TER": sacrebleu.TER()}
    return {name: metric.corpus_score(texts, streams).score for name, metric in metrics.items()}


def values_of(texts, references):
    return {name: one.value for name, one in translation_metrics(texts, references).items()}


@pytest.mark.parametrize("num_references", [1, 2, 3])
def test_scores_equal_sacrebleus_with_one_and_several_references(num_references):
    rng = random.Random(num_references)
    texts = [spoilt(one, rng) for one in 5 * PLAIN]
    references = [[one, *(spoilt(one, rng) for _ in range(num_references - 1))] for one in 5 * PLAIN]
    assert values_of(texts, references) == pytest.approx(of_sacrebleu(texts, references), abs=1e-9)


@pytest.mark.real
def test_scores_equal_sacrebleus_on_the_test_sentences_of_multi30k(real_data):
    path = real_data / "multi30k-en-de" / "test_2016_flickr.de"
    sentences = path.read_text(encoding="utf-8").splitlines()
    rng = random.Random(0)
    texts, references = [spoilt(one, rng) for one in sentences], [[one] for one in sentences]
    found = translation_metrics(texts, references)
    expected = of_sacrebleu(texts, references)
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, abs=1e-9)
    assert all(one.low < one.value < one.high for one in found.values())
    metric = sacrebleu.BLEU()
    metric.corpus_score(texts, [sentences])
    assert signature(references).split("; ")[0] == f"BLEU|{metric.get_signature()}"


@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=2, max_size=2)), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_sentences_get_sacrebleus_scores(pairs):
    texts, references = [text for text, _ in pairs], [list(others) for _, others in pairs]
    expected = of_sacrebleu(texts, references)
    found = values_of(texts, references)
    assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-9)


def test_a_repeated_word_counts_as_often_as_a_reference_has_it():
    # Papineni et al. 2002, section 2.1: of seven "the" two count
    references = [["The cat is on the mat", "There is a cat on the mat"]]
    found = counts(["the the the the the the the"], [[one.lower() for one in references[0]]], str.split)[0]
    assert found[:4].tolist() == [2, 0, 0, 0]
    assert found[4:8].tolist() == [7, 6, 5, 4]
    assert found[8:].tolist() == [7, 7]  # six words are as close as eight would be, seven closer


def test_of_two_equally_close_references_the_shorter_counts():
    sides = [["a b c d e f", "a b"], ["a b", "a b c d e f"]]
    assert [counts(["a b c d"], [one], str.split)[0, -1] for one in sides] == [2, 2]


def test_bleu_by_hand():
    # "a b c d e" against "a b c d f g": 4/5, 3/4, 2/3, 1/2, and exp(1 - 6/5) for one word too few
    found = bleu(counts(["a b c d e"], [["a b c d f g"]], str.split))
    assert found == pytest.approx([100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25 * np.exp(-0.2)], abs=1e-12)


def test_an_order_without_a_match_counts_half_a_match_and_the_next_a_quarter():
    # "a b x y" against "a b c d": 2/4, 1/3, then 1/2 of 2, 1/4 of 1
    found = bleu(counts(["a b x y"], [["a b c d"]], str.split))
    assert found == pytest.approx([100 * (2 / 4 * 1 / 3 * 1 / 4 * 1 / 4) ** 0.25], abs=1e-12)


def test_one_word_pairs_have_no_bleu_and_a_perfect_chrf():
    texts = ["yes", "no", "ja"]
    assert values_of(texts, [[one] for one in texts]) == {"chrF": 100.0, "TER": 0.0}
    assert sentence_chrf(texts, [["yes"], ["yes", "no"], ["nein"]]).tolist() == [1.0, 1.0, 0.0]


def test_an_empty_answer_is_right_only_where_a_reference_is_empty():
    assert sentence_chrf(["", "", "a"], [[""], ["a"], [""]]).tolist() == [1.0, 0.0, 0.0]
    assert translation_metrics([], []) == {}
    assert sentence_chrf([], []).shape == (0,)


def test_chrf_of_a_sentence_by_hand():
    # "ab" and "ac": of characters one in two, of pairs none; the longer orders have no n-grams
    assert sentence_chrf(["ab"], [["ac"]]) == pytest.approx([0.25])


def test_sentence_chrf_is_sacrebleus_for_every_sentence():
    rng = random.Random(7)
    pairs = [(spoilt(one, rng), [one, spoilt(one, rng)]) for one in PLAIN if one]
    expected = [sacrebleu.sentence_chrf(text, others).score / 100 for text, others in pairs]
    assert sentence_chrf([text for text, _ in pairs], [others for _, others in pairs]) == pytest.approx(expected)


def test_the_interval_covers_the_score_of_the_whole_about_as_often_as_it_says():
    rng = random.Random(3)
    sentences = [one for one in PLAIN if one] * 300
    texts = [spoilt(one, rng) for one in sentences]
    truth = values_of(texts, [[one] for one in sentences])
    inside = dict.fromkeys(truth, 0)
    tries = 40
    for _ in range(tries):
        rows = [rng.randrange(len(texts)) for _ in range(80)]
        found = translation_metrics([texts[row] for row in rows], [[sentences[row]] for row in rows])
        for name, one in found.items():
            inside[name] += one.low <= truth[name] <= one.high
    assert all(count >= 33 for count in inside.values()), inside  # of 40 at 95 %: fewer has a chance of 1 in 300


def test_sentences_of_one_group_are_drawn_together():
    texts, references = ["a b c d e", "x"] * 20, [["a b c d e"]] * 40
    alone = translation_metrics(texts, references)["chrF"]
    together = translation_metrics(texts, references, groups=np.arange(40) // 2)["chrF"]
    assert together.high - together.low == pytest.approx(0.0, abs=1e-9)  # every pair is like every other
    assert alone.high - alone.low > 5


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ein Mann mit einem Hut.", "13a"), ("他去商店买东西。", "zh"), ("彼は店に行きました。", "char"),
        ("ราคาถูกมาก", "char"), ("Человек идёт.", "13a"), ("1998-03-05", "13a"), ("", "13a"),
    ],
)  # fmt: skip
def test_texts_without_spaces_are_cut_as_their_script_asks(text, name):
    assert tokens_of([[text]] * 3) == name
    assert f"tok:{name}|" in signature([[text]] * 3)


def test_a_chinese_answer_with_one_wrong_word_keeps_most_of_its_bleu():
    found = values_of(["他今天去商店买东西。"], [["他今天去商店买水果。"]])["BLEU"]
    expected = sacrebleu.BLEU(tokenize="zh").corpus_score(["他今天去商店买东西。"], [["他今天去商店买水果。"]]).score
    assert found == pytest.approx(expected)
    assert found > 50


def test_the_signature_says_when_the_number_of_references_varies():
    assert "nrefs:var" in signature([["a"], ["b", "c"]])
    assert "nrefs:2" in signature([["a", "b"], ["b", "c"]])
