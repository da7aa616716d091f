"""Characters and words as numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnomon.data.text.tokens import SPECIAL, UNKNOWN, Numbering, smallest_type, vocabulary_of

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


@given(TEXTS)
def test_characters_come_back_as_they_were(text):
    numbering = Numbering(vocabulary_of([text], "character", 10_000, 1), "character")
    ids = numbering.ids(text)
    assert (ids >= SPECIAL).all()
    assert numbering.text(ids.tolist()) == text


@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_pieces_that_train_does_not_have_are_unknown(train, other):
    vocabulary = vocabulary_of(train, "character", 10_000, 1)
    ids = Numbering(vocabulary, "character").ids(other)
    assert [one == UNKNOWN for one in ids] == [piece not in vocabulary for piece in other]


def test_words_keep_apostrophes_and_marks_stand_alone():
    text = "Don't stop, she said.\nNow"
    vocabulary = vocabulary_of([text], "word", 100, 1)
    assert set(vocabulary) == {"Don't", "stop", ",", "she", "said", ".", "\n", "Now"}
    numbering = Numbering(vocabulary, "word")
    assert numbering.text(numbering.ids(text).tolist()) == "Don't stop , she said .\nNow"


def test_the_most_frequent_pieces_are_kept_and_the_rare_ones_left_out():
    texts = ["a a a b b c", "d"]
    assert vocabulary_of(texts, "word", 2, 1) == ("a", "b")
    assert vocabulary_of(texts, "word", 10, 2) == ("a", "b")
    assert vocabulary_of(texts, "word", 10, 1) == ("a", "b", "c", "d")


def test_ids_are_stored_in_no_more_bytes_than_they_need():
    assert smallest_type(255) is np.uint8
    assert smallest_type(256) is np.int16
    assert smallest_type(40_000) is np.int32
