"""Tags of texts: rare words, capitals, unknown pieces; nothing of names, of which no two are alike."""

import numpy as np
import polars as pl

from gnomon.core.evaluation import Evaluation
from gnomon.strategy.error_tags import from_predictions, from_texts

USUAL = [
    "the dog saw the cat in the house",
    "the cat saw a dog",
    "a house saw the cat",
    "in the house the dog saw a cat",
] * 5
TEXTS = ["the cat saw the dog", "a zebra ate quince jam", "THE CAT SAW", "NSA", "the dog saw a cat"]


def table_of(texts, **columns):
    return pl.DataFrame({"id": texts, "target": texts, "prediction": texts, "error": np.ones(len(texts)), **columns})


def tagged(tags):
    return {tag.name: np.flatnonzero(tag.tagged).tolist() for tag in tags}


def test_rare_words_and_capitals_are_found():
    found = tagged(from_texts(table_of(TEXTS), np.arange(len(TEXTS)), TEXTS, USUAL))
    assert found["rare words"] == [1, 3]  # "NSA" is one word, which no text has
    assert found["all capitals"] == [2]


def test_of_names_no_word_is_rare():
    names = ["anna", "otto", "hannah", "bob"]
    assert "rare words" not in tagged(from_texts(table_of(names), np.arange(4), names, ["eve", "ada", "pip"]))


def test_texts_with_unknown_pieces_are_found():
    table = table_of(
        TEXTS, unknown=[0, 2, 0, 1, 0], confidence=pl.Series([None] * 5, dtype=pl.Float64), weight=[1.0] * 5
    )
    assert tagged(from_predictions(Evaluation("dev", "bits", table)))["unknown pieces"] == [1, 3]


def test_negations_and_words_that_train_lacks_are_tagged():
    texts = ["this is NOT good .", "it does n't work", "you can't know", "a notable knot , now", "without a doubt"]
    found = tagged(from_texts(table_of(texts), np.arange(5), texts, USUAL, np.array([False, True, False, True, False])))
    assert found["negation"] == [0, 1, 2, 4]
    assert found["unknown words"] == [1, 3]
