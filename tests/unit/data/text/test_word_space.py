"""Nearest words, analogies, similarities: as gensim scores them."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.data.text.vectors import Vectors
from gnomon.data.text.word_space import Analogies, Similarities, Space, evaluate

# drawn on paper: king - man + woman = queen; "Queen" is another form of queen, farther off
WORDS = ("man", "woman", "king", "queen", "Queen", "apple")
VALUES = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1], [0, 1, 3], [-1, -1, 0]], np.float32)
SPACE = Space(Vectors(WORDS, 7 * VALUES))


def test_nearest_is_by_angle_without_the_word_itself():
    near = SPACE.nearest("king", 2)
    assert [one.word for one in near] == ["man", "Queen"]
    assert near[0].cosine == pytest.approx(0.5**0.5)
    assert near[1].cosine == pytest.approx(3 / 20**0.5)
    assert SPACE.nearest("KING", 1) == near[:1]
    with pytest.raises(UsageError, match="no vector of 'kingdom'"):
        SPACE.nearest("kingdom")
    assert len(SPACE.nearest("apple", 100)) == 5


def test_an_analogy_leaves_its_own_words_out():
    assert [one.word for one in SPACE.analogy("man", "woman", "king", 2)] == ["queen", "Queen"]


def test_analogies_are_counted_by_section_whatever_the_case():
    content = (
        ": family\nMAN woman King queen\nman woman king queen\nman woman king apple\n: other\nman woman x y\nnonsense\n"
    )
    found = evaluate(SPACE, content, "q")
    assert isinstance(found, Analogies)
    assert [(one.name, one.right, one.asked) for one in found.sections] == [
        ("family", 2, 3),
        ("other", 0, 0),
        ("all", 2, 3),
    ]
    assert found.questions == 4
    assert found.notes == (
        "1 question given twice: counted twice, as other programs do", "1 line without four words left out",
    )  # fmt: skip
    with pytest.raises(DataError, match="none of its 1 question has vectors"):
        evaluate(SPACE, ": a\nx y z w\n", "q")


def test_similarities_are_correlated_with_what_people_said():
    # cosines 0, 1/sqrt(2), 1/2, 3/sqrt(10): ranks 1, 3, 2, 4; people's ranks 1, 2, 3, 4
    content = "# words\nman\twoman\t1\nman\tking\t2\nking\tqueen\t3\nwoman\tQueen\t4\nman\tpear\t5\nman\twoman\tmany\n"
    content = content.replace("Queen", "apple").replace("woman\tapple\t4", "queen\tQueen\t4")
    found = evaluate(SPACE, content, "q")
    assert isinstance(found, Similarities)
    assert (found.used, found.pairs) == (4, 5)
    # the first form of a word counts: "Queen" is queen, cosine 1. d = (0, 1, -1, 0): 1 - 6 * 2 / (4 * 15)
    assert found.spearman == pytest.approx(0.8)
    assert found.notes == ("1 line without two words and a number left out",)
    with pytest.raises(DataError, match="1 pair of 1 with vectors for both words: too few"):
        evaluate(SPACE, "man,woman,3\n", "q")


def test_a_map_puts_groups_of_words_apart():
    rng = np.random.default_rng(0)
    middles = np.repeat(np.eye(2, 20), 15, axis=0)
    values = (middles + 0.1 * rng.normal(size=(30, 20))).astype(np.float32)
    points = Space(Vectors(tuple(f"w{i}" for i in range(30)), values)).map(range(30))
    own = np.linalg.norm(points[:15] - points[:15].mean(0), axis=1).mean()
    assert np.linalg.norm(points[:15].mean(0) - points[15:].mean(0)) > 2 * own
    assert SPACE.map([0, 1]).shape == (2, 2)
