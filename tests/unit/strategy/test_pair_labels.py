"""Suspect pairs of texts: planted ones are found among real sentences, and what is usual in the data accuses nobody."""

from __future__ import annotations

import json
import random

import numpy as np
import polars as pl
import pytest

from gnomon.metrics.pair_table import read
from gnomon.strategy.pair_labels import CONTRADICTED, LENGTH, NUMBERS, UNLIKELY, UNTRANSLATED, find_suspects
from gnomon.workflow.judge.place_labels import audit_places, judge_review, write_review


def table_of(rows, answers=None):
    """Of (source, target or targets)."""
    every = [[one] if isinstance(one, str) else one for _, one in rows]
    cells = {
        "id": [f"p{row}" for row in range(len(rows))], "text": [one for one, _ in rows],
        "target": [some[0] for some in every], "prediction": answers or ["?"] * len(rows),
        "references": [json.dumps(some) for some in every], "error": [1.0] * len(rows),
    }  # fmt: skip
    return pl.DataFrame(cells)


def sentences(number, seed=0):
    """Made-up pairs with a number in each, of eight words or so."""
    rng = random.Random(seed)
    made = []
    for _ in range(number):
        size = rng.randint(5, 12)
        words = [rng.choice("abcdefghij") * rng.randint(2, 7) for _ in range(size)]
        count = str(rng.randint(2, 99))
        made.append((" ".join([*words, count]), " ".join([*(f"{word}x" for word in words), count])))
    return made


def kinds_of(rows, losses=None, answers=None):
    return {one.row: one.kind for one in find_suspects(read(table_of(rows, answers)), losses)}


def test_right_pairs_are_not_suspect():
    assert kinds_of(sentences(200)) == {}


@pytest.mark.parametrize(
    ("kind", "pair"),
    [
        (UNTRANSLATED, ("some words that stay 5", "some words that stay 5")),
        (LENGTH, ("one two three four five six seven eight nine ten 12", "onex 12")),
        (NUMBERS, ("one two three four 14", "onex twox threex fourx 15")),
    ],
)
def test_each_planted_fault_is_named(kind, pair):
    assert kinds_of([*sentences(200), pair]) == {200: kind}


def test_two_different_targets_of_one_source_contradict_and_the_unlikelier_is_suspect():
    rows = [*sentences(200), ("one two three 5", "onex twox threex 5"), ("One two, three 5", "quite another target 5")]
    losses = np.concatenate([np.full(200, 1.0), [1.0, 1.2]])
    assert kinds_of(rows, losses) == {201: CONTRADICTED}
    assert kinds_of([*rows[:-1], rows[-2]], losses) == {}  # the same pair twice contradicts nothing


def test_several_targets_are_usual_where_many_sources_have_them():
    rows = [(source, [target, f"well {target}"]) for source, target in sentences(100)]
    assert kinds_of(rows) == {}
    odd = ("one two three 5", ["onex twox threex 5", "nothing of the kind is here 5"])
    assert kinds_of([*rows, odd]) == {100: CONTRADICTED}


def test_numbers_say_nothing_where_they_are_usually_written_differently():
    rows = [(f"{day} March {1990 + day}", f"{1990 + day}-03-{day:02}") for day in range(1, 29)]
    assert kinds_of(rows) == {}


def test_equal_sides_say_nothing_where_words_are_usually_taken_over():
    rows = [(source, f"{source} done") for source, _ in sentences(100)]
    assert UNTRANSLATED not in kinds_of(rows).values()


def test_a_target_that_is_far_less_likely_than_others_is_suspect():
    losses = np.concatenate([np.random.default_rng(0).lognormal(0.0, 0.3, 200), [6.0]])
    assert kinds_of([*sentences(200), ("a b c 7", "d e f 7")], losses)[200] == UNLIKELY
    assert sum(kind == UNLIKELY for kind in kinds_of(sentences(200), losses[:200]).values()) <= 2


def test_what_the_model_answers_itself_is_not_suspect():
    rows = [*sentences(200), ("some words that stay 5", "some words that stay 5")]
    assert kinds_of(rows, answers=[target for _, target in rows]) == {}


def test_few_pairs_accuse_nobody():
    assert kinds_of([("a b c", "a"), ("d", "d e f g h i j k")], np.array([0.1, 9.0])) == {}
    assert find_suspects(read(table_of([("", "")]))) == ()


def test_a_sheet_of_pairs_goes_out_and_comes_back_with_verdicts(tmp_path):
    stays = "some words that stay 5"
    audit = audit_places(table_of([*sentences(50), (stays, stays)]), "dev", "a model")
    assert (audit.what, audit.count, [one.id for one in audit.suspects]) == ("pairs of texts", 51, ["p50"])
    assert audit.suspects[0].given == f"{stays} => {stays}"
    path = tmp_path / "review.csv"
    assert write_review(audit, path, top=10, random=5) == 6
    header, *lines = path.read_text().splitlines()
    assert header.replace('"', "") == "id,part,stands_for,kind,given,suggested,sureness,verdict,comment"
    path.write_text("\n".join([header, *(f"{line.rpartition(',')[0].rpartition(',')[0]},given," for line in lines)]))
    reviewed = judge_review(audit, path)
    assert (reviewed.num_reviewed, reviewed.by_kind) == (6, {UNTRANSLATED: (0, 1)})


@pytest.mark.real
def test_faults_planted_in_real_sentences_are_found_without_a_model(real_data):
    folder = real_data / "multi30k-en-de"
    sources, targets = ((folder / f"val.{side}").read_text().splitlines() for side in ("en", "de"))
    rows, rng = list(zip(sources, targets, strict=True)), random.Random(0)
    clean = kinds_of(rows)
    assert len(clean) <= 0.02 * len(rows)
    planted = {}
    for number, row in enumerate(rng.sample(range(len(rows)), len(rows) // 20)):
        source, target = rows[row]
        kind = (UNTRANSLATED, LENGTH)[number % 2]
        cut = " ".join(target.split()[: max(1, len(target.split()) // 4)])
        rows[row] = (source, source if kind == UNTRANSLATED else cut)
        planted[row] = kind
    found = kinds_of(rows)
    for kind in (UNTRANSLATED, LENGTH):
        own = [row for row, one in planted.items() if one == kind]
        assert sum(row in found for row in own) >= 0.9 * len(own), kind
    assert sum(row not in planted for row in found) <= 0.02 * len(rows)
