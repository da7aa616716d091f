"""Tags of answers that are texts: each planted in real sentences, none where the answer is right."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from gnomon.core.evaluation import Evaluation
from gnomon.metrics.pair_table import read
from gnomon.strategy.error_tags import from_predictions
from gnomon.strategy.translation_tags import TAGS, UNTRANSLATED, from_pairs, numbers_of, words_of

SOURCE = "Two men in 3 coats are walking through Berlin on 24.12."
TARGET = "Zwei Männer in 3 Mänteln gehen am 24.12. durch Berlin."
PLANTED = {
    "empty answer": " ",
    "too short": "Zwei Männer in 3 Mänteln am 24.12.",
    "too long": TARGET + " Sie tragen beide graue Hüte und lachen.",
    "copied": "Two men in 3 coats are gehen through Berlin on 24.12.",
    "untranslated word": "Zwei Männer in 3 coats gehen am 24.12. durch Berlin.",
    "repeated words": "Zwei Männer in 3 Mänteln gehen am 24.12. durch durch Berlin.",
    "wrong numbers": "Zwei Männer in 5 Mänteln gehen am 24.12. durch Berlin.",
}
ALONG = {"copied": {"untranslated word"}, "empty answer": {"wrong numbers"}}  # what is true of it as well


def table_of(rows, errors=None):
    sources, targets, answers = zip(*rows, strict=True)
    every = [[one] if isinstance(one, str) else list(one) for one in targets]
    given = {"text": sources, "target": [one[0] for one in every], "prediction": answers}
    wrong = [float(own not in some) for own, some in zip(answers, every, strict=True)] if errors is None else errors
    numbers = {"error": wrong, "score": [-1.0] * len(rows), "reference_score": [-1.0] * len(rows)}
    return pl.DataFrame({**given, **numbers, "references": [json.dumps(one) for one in every]})


def tagged(rows):
    tags = from_pairs(read(table_of(rows)))
    return [{tag.name for tag in tags if tag.tagged[row] and tag.kind == "answers"} for row in range(len(rows))]


@pytest.mark.parametrize("name", [*TAGS, UNTRANSLATED])
def test_what_is_planted_is_found_and_nothing_else(name):
    assert tagged([(SOURCE, TARGET, PLANTED[name])]) == [{name} | ALONG.get(name, set())]


def test_another_wording_has_no_tag():
    assert tagged([(SOURCE, TARGET, "Durch Berlin laufen zwei Herren am 24.12. in 3 Mänteln.")]) == [set()]


def test_a_right_answer_has_no_tag_even_where_it_is_the_source():
    assert tagged([("Hotel Berlin Ost", "Hotel Berlin Ost", "Hotel Berlin Ost")]) == [set()]


def test_what_one_of_several_references_has_is_not_wrong():
    references = ("Er sagt nein nein 3", "Er sagt no")
    assert "wrong numbers" not in tagged([("He says no", references, "Sie sagt nein 3")])[0]
    assert "wrong numbers" in tagged([("He says no", references, "Er sagt nein nein 4")])[0]
    assert "repeated words" not in tagged([("He says no", references, "Er sagt nein nein")])[0]
    assert "untranslated word" not in tagged([("He says no", references, "Sie sagt no")])[0]


def test_numbers_are_the_same_with_other_separators():
    assert numbers_of("1,000 euros at 3.5 %") == numbers_of("1.000 Euro zu 3,5 %")
    assert numbers_of("12:30") != numbers_of("12:31")
    assert words_of("Don't stop – saftig-grünes Gras!") == ["don't", "stop", "saftig-grünes", "gras"]


def test_predictions_of_pairs_get_these_tags_and_who_is_at_fault():
    table = table_of([(SOURCE, TARGET, PLANTED["too short"]), (SOURCE, TARGET, TARGET)]).with_columns(
        pl.Series("reference_score", [-0.5, -1.0]), pl.Series("id", ["a", "b"])
    )
    names = {tag.name: tag.tagged.tolist() for tag in from_predictions(Evaluation("dev", "share", table))}
    assert names == {"too short": [True, False], "search at fault": [True, False]}


@pytest.mark.real
def test_few_of_the_real_references_would_be_tagged_as_answers(real_data):
    folder = real_data / "multi30k-en-de"
    sources, targets = ((folder / f"test_2016_flickr.{side}").read_text().splitlines() for side in ("en", "de"))
    rows = list(zip(sources, targets, targets, strict=True))
    tags = from_pairs(read(table_of(rows, errors=np.ones(len(rows)))))
    assert not [tag.name for tag in tags if tag.kind == "answers"]  # by definition: a reference is what is right
    moved = list(zip(sources, targets, targets[1:] + targets[:1], strict=True))
    of_others = from_pairs(read(table_of(moved)))
    shares = {tag.name: float(tag.tagged.mean()) for tag in of_others}
    assert shares["too short"] > 0.1
    assert shares["too long"] > 0.1
    assert shares.get("copied", 0) == 0
    assert shares.get("untranslated word", 0) < 0.02
