"""What must hold for the nearest of many vectors: the answers are those of comparing all of them in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.nn import nearest
from gnomon.nn.nearest import Nearest

KINDS = ("anywhere", "in clusters", "nearly equal", "equal", "along axes", "one large number")
EXACT = 1e-12  # what the order of a float64 sum may change


def made(kind: str, count: int, dims: int, rng: np.random.Generator) -> np.ndarray:
    """(N, D) float32 of length 1."""
    values = rng.normal(size=(count, dims))
    if kind == "in clusters":
        values = rng.normal(size=(3, dims))[rng.integers(3, size=count)] + 0.05 * values
    elif kind == "nearly equal":  # far nearer to each other than int8 can tell
        values = rng.normal(size=dims) + 10.0 ** rng.integers(-7, -2) * values
    elif kind == "equal":
        values = rng.normal(size=(2, dims))[rng.integers(2, size=count)]
    elif kind == "along axes":
        values = np.eye(dims)[rng.integers(dims, size=count)] * rng.choice([-1, 1], size=(count, 1))
    elif kind == "one large number":  # the others are rounded coarsely
        values[:, 0] += 30
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def all_distances(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.square(queries[:, None].astype(np.float64) - vectors[None].astype(np.float64)).sum(axis=2)


cases = st.tuples(
    st.sampled_from(KINDS), st.integers(1, 700), st.integers(2, 140), st.integers(1, 9), st.integers(1, 20),
    st.booleans(), st.integers(0, 2**32 - 1),
)  # fmt: skip


def case(drawn) -> tuple[np.ndarray, np.ndarray, int]:
    kind, count, dims, asked, most, from_rows, seed = drawn
    rng = np.random.default_rng(seed)
    vectors = made(kind, count + asked, dims, rng)
    queries = vectors[rng.integers(count, size=asked)] if from_rows else vectors[count:]
    return vectors[:count], queries, most


@settings(max_examples=150, deadline=None)
@given(cases)
def test_the_answers_are_those_of_comparing_all_in_float64(drawn):
    vectors, queries, most = case(drawn)
    apart, rows = Nearest.of(vectors).search(queries, most)
    expected = all_distances(queries, vectors)
    most = min(most, len(vectors))
    assert apart.shape == rows.shape == (len(queries), most)
    np.testing.assert_allclose(apart, np.sort(expected, axis=1)[:, :most], rtol=0, atol=EXACT)
    np.testing.assert_allclose(apart, np.take_along_axis(expected, rows, axis=1), rtol=0, atol=EXACT)
    assert all(len(set(row.tolist())) == most for row in rows)
    assert (np.diff(apart, axis=1) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(cases)
def test_no_answer_is_farther_than_that_of_a_plain_product_in_float32(drawn):
    vectors, queries, _ = case(drawn)
    plain = (queries @ vectors.T).argmax(axis=1)
    _, rows = Nearest.of(vectors).search(queries)
    expected = all_distances(queries, vectors)
    each = np.arange(len(queries))
    assert (expected[each, rows[:, 0]] <= expected[each, plain] + EXACT).all()


@settings(max_examples=60, deadline=None)
@given(cases)
def test_what_rounding_takes_away_is_never_more_than_the_bound(drawn):
    vectors, _, _ = case(drawn)
    made_small = Nearest.of(vectors)
    known = (
        made_small.small[: len(vectors)].numpy().astype(np.float64) * made_small.scales[: len(vectors), None].numpy()
    )
    rest = np.linalg.norm(vectors.astype(np.float64) - known, axis=1)
    length = np.square(vectors.astype(np.float64)).sum(axis=1)
    assert (rest + np.abs(length - 1) / 2 <= made_small.slack[: len(vectors)].numpy()).all()


def test_without_the_bound_the_nearest_is_missed():
    """The tests above can fail: what is equal in int8 is told apart by the comparison that the bound asks for."""
    rng = np.random.default_rng(0)
    vectors = made("nearly equal", 600, 32, rng)
    whole = Nearest.of(vectors)
    careless = replace(whole, slack=torch.zeros_like(whole.slack))
    expected = all_distances(vectors, vectors).argmin(axis=1)
    assert (whole.search(vectors)[1][:, 0] == expected).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "LENGTH_TOLERANCE", -1.0)  # so that a bound of 1 + this is zero
        patch.setattr(nearest, "_check_lengths", lambda squares: None)
        assert (careless.search(vectors)[1][:, 0] != expected).any()


def test_equally_near_ones_come_in_their_order_across_groups():
    rng = np.random.default_rng(1)
    vectors = made("anywhere", 3 * nearest.TOGETHER, 16, rng)
    same = [700, 5, 300]
    vectors[same] = vectors[0]
    apart, rows = Nearest.of(vectors).search(vectors[:1], 4)
    assert rows[0].tolist() == [0, 5, 300, 700]
    assert (apart == 0).all()


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1025])
def test_many_chunks_and_queries_give_what_one_gives(count, monkeypatch):
    rng = np.random.default_rng(count)
    vectors, queries = made("in clusters", count, 24, rng), made("in clusters", 33, 24, rng)
    expected = Nearest.of(vectors).search(queries, 5)
    monkeypatch.setattr(nearest, "PRODUCTS", 1)
    monkeypatch.setattr(nearest, "AT_ONCE", 7)
    monkeypatch.setattr(nearest, "COMPARED", 100)
    for one, other in zip(Nearest.of(vectors).search(queries, 5), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_processor_without_exact_products_of_int8_gives_the_same_answers(monkeypatch):
    rng = np.random.default_rng(2)
    vectors, queries = made("in clusters", 900, 128, rng), made("in clusters", 9, 128, rng)
    expected = Nearest.of(vectors).search(queries, 3)
    monkeypatch.setattr(nearest, "_is_exact", lambda: False)
    monkeypatch.setattr(nearest, "WIDENED", 100)
    for one, other in zip(Nearest.of(vectors).search(queries, 3), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_product_that_saturates_is_noticed(monkeypatch):
    def saturating(left, right):
        pairs = (left[:, :, None].int() * right[None].int()).unflatten(1, (-1, 2)).sum(dim=2)
        return pairs.clamp(-32_000, 32_000).sum(dim=1).int()

    monkeypatch.setattr(torch, "_int_mm", saturating)
    assert not nearest._is_exact.__wrapped__()


def test_vectors_of_another_length_are_refused():
    vectors = made("anywhere", 10, 8, np.random.default_rng(3))
    with pytest.raises(ValueError, match="length 1"):
        Nearest.of(2 * vectors)
    with pytest.raises(ValueError, match="length 1"):
        Nearest.of(vectors).search(0 * vectors)
    with pytest.raises(ValueError, match="length 1"):
        Nearest.of(vectors * np.float32("nan"))


def test_nobody_is_near_where_there_is_nobody():
    apart, rows = Nearest.of(np.empty((0, 8), np.float32)).search(np.eye(8, dtype=np.float32))
    assert apart.shape == rows.shape == (8, 0)
