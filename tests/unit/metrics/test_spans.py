"""Spans of tags in every scheme, and their F1: against seqeval, nervaluate, by hand, and a plain reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.metrics.spans import SCHEMES, Span, as_tags, breaks, count, detect, f1, parts_of, scores, spans_of

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "spans.json").read_text())
LENIENT = [one for one in GOLDEN if "report" in one]


def by_scheme(one):
    return one["scheme"]


@pytest.mark.parametrize("one", LENIENT, ids=by_scheme)
def test_broken_tags_are_read_as_seqeval_reads_them(one):
    found = [[[span.type, span.start, span.end - 1] for span in spans_of(tags)] for tags in one["truths"]]
    assert found == one["entities"]


@pytest.mark.parametrize("one", GOLDEN, ids=by_scheme)
def test_unbroken_sentences_hold_the_spans_of_seqevals_strict_mode(one):
    pairs = [
        (tags, strict)
        for tags, strict in zip(one["truths"], one["strict"], strict=True)
        if not breaks(tags, one["scheme"])
    ]
    assert len(pairs) > 5
    for tags, strict in pairs:
        assert [list(span) for span in spans_of(tags)] == strict


@pytest.mark.parametrize("one", LENIENT, ids=by_scheme)
def test_scores_equal_seqeval_and_nervaluate(one):
    found = scores(count(*[[spans_of(tags) for tags in one[side]] for side in ("truths", "answers")]))
    report = one["report"]
    for ours, average, theirs in (
        ("F1", "micro avg", "f1-score"), ("precision", "micro avg", "precision"), ("recall", "micro avg", "recall"),
        ("mean F1 of the types", "macro avg", "f1-score"),
    ):  # fmt: skip
        assert found[ours].value == pytest.approx(report[average][theirs], abs=1e-12)
    for kind in ("person", "geo-loc", "tv"):
        for what, theirs in (("F1", "f1-score"), ("precision", "precision"), ("recall", "recall")):
            assert found[f"{what} of {kind}"].value == pytest.approx(report[kind][theirs], abs=1e-12)
    assert found["F1"].value == pytest.approx(one["nervaluate"]["strict"], abs=1e-12)
    assert found["F1 of the ends alone"].value == pytest.approx(one["nervaluate"]["exact"], abs=1e-12)


def test_one_of_two_spans_with_a_wrong_begin_gives_one_half():
    # the example in seqeval's README
    truths = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    answers = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    found = scores(count([spans_of(tags) for tags in truths], [spans_of(tags) for tags in answers]))
    assert found["F1"].value == 0.5
    assert found["F1 of PER"].value == 1
    assert found["F1 of MISC"].value == 0
    assert found["F1"].low <= 0.5 <= found["F1"].high


def test_adjacent_spans_of_bilou_are_two():
    # two persons side by side: seqeval's default mode keeps only the last of them
    assert spans_of(["B-PER", "L-PER", "U-PER", "U-PER"]) == [(0, 2, "PER"), (2, 3, "PER"), (3, 4, "PER")]


@pytest.mark.parametrize(
    ("scheme", "tags", "places"),
    [
        ("BIO", "O I-a I-a", [1]), ("BIO", "B-a I-b", [1]), ("BIO", "B-a I-a B-a", []), ("BIO", "S-a", [0]),
        ("IOB1", "I-a I-a O I-b", []), ("IOB1", "B-a I-a", [0]), ("IOB1", "I-a B-a", []), ("IOB1", "I-a B-b", [1]),
        ("IOBES", "B-a I-a E-a S-b O", []), ("IOBES", "B-a O", [1]), ("IOBES", "O E-a", [1]), ("IOBES", "O B-a", [1]),
        ("IOBES", "B-a E-b", [1]), ("BILOU", "B-a L-a U-a", []), ("BIO", "O PAD B-", [1, 2]),
    ],
)  # fmt: skip
def test_places_that_break_a_scheme(scheme, tags, places):
    assert breaks(tags.split(), scheme) == places


def test_letters_without_types_and_types_with_hyphens():
    assert spans_of(["B", "I", "O", "B-geo-loc"]) == [(0, 2, "span"), (3, 4, "geo-loc")]
    assert parts_of("PAD") is None
    assert spans_of(["PAD", "O"]) == []


def test_nothing_to_find_and_nothing_found_has_no_f1():
    assert "F1" not in scores(count([[], []], [[], []]))
    assert scores(count([], [])) == {}
    only_wanted = scores(count([[Span(0, 1, "a")]], [[]]))
    assert only_wanted["F1"].value == 0
    assert "precision" not in only_wanted


@st.composite
def sentences(draw):
    """Spans that do not overlap, in a sentence of some tokens."""
    edges = sorted(draw(st.sets(st.integers(0, 12), min_size=2)))
    chosen = draw(st.lists(st.sampled_from(["", "a", "b"]), min_size=len(edges) - 1, max_size=len(edges) - 1))
    spans = [Span(start, end, kind) for start, end, kind in zip(edges, edges[1:], chosen, strict=False) if kind]
    return spans, edges[-1]


@settings(max_examples=25)
@given(sentences(), st.sampled_from(SCHEMES))
def test_spans_written_in_a_scheme_are_read_back_and_break_nothing(sentence, scheme):
    spans, length = sentence
    tags = as_tags(spans, length, scheme)
    assert spans_of(tags) == spans
    assert breaks(tags, scheme) == []


@settings(max_examples=25)
@given(st.lists(sentences(), min_size=1), st.sampled_from(SCHEMES[:3]))
def test_the_detected_scheme_is_one_that_nothing_breaks(some, scheme):
    tags = [as_tags(spans, length, scheme) for spans, length in some]
    assert all(not breaks(one, detect(tags)) for one in tags)


@settings(max_examples=25)
@given(st.lists(st.tuples(sentences(), sentences()), min_size=1))
def test_f1_of_all_equals_that_of_a_plain_count(pairs):
    """The reference: walk through the answers, strike out each truth that is met."""
    hits = wanted = said = 0
    for (truth, _), (answer, _) in pairs:
        left = list(truth)
        for span in answer:
            if span in left:
                left.remove(span)
                hits += 1
        wanted, said = wanted + len(truth), said + len(answer)
    counts = count([truth for (truth, _), _ in pairs], [answer for _, (answer, _) in pairs])
    assert (counts.right.sum(), counts.wanted.sum(), counts.said.sum()) == (hits, wanted, said)
    found = f1(counts.right.sum(), counts.wanted.sum(), counts.said.sum())
    if wanted + said:
        precision, recall = (hits / part if part else 0.0 for part in (said, wanted))
        assert found == pytest.approx(2 * precision * recall / (precision + recall) if hits else 0.0)
    else:
        assert np.isnan(found)
