"""A bias is taken out as WEFE does it; measures say what is left; wrong lists are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gnomon.core.errors import DataError
from gnomon.data.text.debias import Lists, debias, picked, read_lists
from gnomon.data.text.vectors import Vectors
from gnomon.data.text.word_space import Space

WORDS = ("he", "she", "man", "woman", "nurse", "king", "queen", "rock")
VALUES = np.array(
    [[3, 1, 0, -1], [-2, 1, 1, 0], [2, 2, -1, 0], [-2, 1, 0, 1],
     [-1, 3, 2, 1], [2, 0, 3, 1], [-1, 1, 3, 2], [1, -1, 1, 4]],
    np.float32,
)  # fmt: skip
LISTS = Lists((("he", "she"), ("man", "woman")), (("king", "queen"),), WORDS[:4], ("he", "she"), ())
# WEFE 1.0.1: HardDebias(pca_args={"n_components": 3}).fit(...).transform(ignore=WORDS[:4]); the lengths of king and
# queen differ there (its norms are those of before), their directions do not
WEFE_DIRECTION = [0.9521300792694092, 0.03823372721672058, -0.22072270512580872, -0.2080094963312149]
WEFE = [
    [0.904534, 0.301511, 0.0, -0.301511], [-0.816497, 0.408248, 0.408248, 0.0], [0.666667, 0.666667, -0.333333, 0.0],
    [-0.816497, 0.408248, 0.0, 0.408248], [0.116243, 0.854777, 0.467483, 0.193142],
    [0.708713, 0.157018, 0.689166, 0.284286], [-0.207788, 0.135726, 1.004606, 0.537494],
    [0.25988, -0.228314, 0.222497, 0.911499],
]  # fmt: skip


def test_it_equals_wefe():
    done = debias(Vectors(WORDS, VALUES), LISTS)
    expected = np.array(WEFE)
    np.testing.assert_allclose(np.abs(done.direction), np.abs(WEFE_DIRECTION), atol=1e-6)
    np.testing.assert_allclose(
        done.vectors.values, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=2e-6
    )
    assert done.kept == WORDS[:4]
    assert done.equalised == 1


@pytest.mark.parametrize("by", ["svd", "mean"])
def test_nothing_is_left_along_the_direction_and_pairs_are_equally_far(by):
    done = debias(Vectors(WORDS, VALUES), LISTS, by=by)
    place = {word: i for i, word in enumerate(WORDS)}
    units = done.vectors.values
    for word in ("nurse", "rock"):
        assert units[place[word]] @ done.direction == pytest.approx(0, abs=1e-6)
        assert units[place[word]] @ units[place["king"]] == pytest.approx(
            units[place[word]] @ units[place["queen"]], abs=1e-6
        )
    assert units[place["king"]] @ done.direction == pytest.approx(-units[place["queen"]] @ done.direction, abs=1e-6)
    assert np.linalg.norm(units, axis=1) == pytest.approx(1)
    assert done.after.direct < 1e-6 < done.before.direct
    assert done.after.unequal < 1e-6 < done.before.unequal


def test_the_mean_direction_is_that_of_the_differences():
    units = VALUES / np.linalg.norm(VALUES, axis=1, keepdims=True)
    by_hand = units[1] - units[0] + units[3] - units[2]
    found = debias(Vectors(WORDS, VALUES), LISTS, by="mean").direction
    np.testing.assert_allclose(found, by_hand / np.linalg.norm(by_hand), atol=1e-6)


def test_the_measure_of_what_people_see_is_planted_and_gone():
    said = (("nurse", -1.0), ("rock", 1.0), ("king", 0.9), ("he", 5.0))  # "he" may lie along the direction
    lists = Lists(LISTS.definitional, (("he", "she"),), WORDS[:4], (), said)
    done = debias(Vectors(WORDS, VALUES), lists)
    assert done.judged == 3
    units = VALUES / np.linalg.norm(VALUES, axis=1, keepdims=True)
    along = [float(units[WORDS.index(word)] @ done.direction) for word in ("nurse", "rock", "king")]
    ranks, people = np.argsort(np.argsort(along)), np.array([0, 2, 1])  # no ties: 1 - 6 sum d^2 / (n (n^2 - 1))
    assert done.before.as_people_see == pytest.approx(1 - 6 * ((ranks - people) ** 2).sum() / 24)
    assert done.after.as_people_see is None


def test_a_classifier_picks_words_like_the_seed():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 10)).astype(np.float32)
    values[:40, 0] += 8  # of their own kind
    words = tuple(f"w{i}" for i in range(200))
    chosen = picked(Space(Vectors(words, values)), words[:30])
    assert set(words[:30]) <= set(chosen)
    assert len(set(chosen) & set(words[30:40])) >= 5
    assert len(set(chosen) - set(words[:40])) <= 4
    with pytest.raises(DataError, match="fewer than two words of the seed"):
        picked(Space(Vectors(words, values)), ["unheard"])


def test_lists_are_read_and_wrong_ones_refused(tmp_path):
    def write(name: str, value: object) -> None:
        (tmp_path / name).write_text(value if isinstance(value, str) else json.dumps(value))

    with pytest.raises(DataError, match="no list of definitional pairs"):
        read_lists(tmp_path)
    write("definitional_pairs.json", [["she", "he"]])
    write("professions.json", ["nurse", ["judge", 0.1, 0.5]])
    assert read_lists(tmp_path) == Lists((("she", "he"),), (("she", "he"),), (), (), (("nurse", None), ("judge", 0.5)))
    for name, value, message in (
        ("equalize_pairs.json", [["a", "b"], ["c"]], r"equalize_pairs.json: entry 2 is not a pair"),
        ("gender_specific_full.json", ["a", 3], r"entry 2 is not a word"),
        ("gender_specific_seed.json", "{", r"this is not JSON"),
        ("professions.json", [3], r"3 is neither a word nor"),
    ):
        write(name, value)
        with pytest.raises(DataError, match=message):
            read_lists(tmp_path)
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match="no definitional pair has vectors"):
        debias(Vectors(("a", "b"), VALUES[:2]), read_lists(tmp_path))
