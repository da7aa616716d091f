"""Search or model at fault: planted both ways in made scores, ties, lengths, words that a model lacks, advice."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.metrics.pair_table import is_pairs, read
from gnomon.strategy.diagnosis import Diagnosis, Verdict
from gnomon.strategy.error_analysis import errors_of, shares_of_errors
from gnomon.strategy.search_fault import (
    MODEL,
    SEARCH,
    advise_wider,
    apply_fault,
    fault_of,
    fault_text,
    find_fault,
    tags_of,
)


def made(num_search, num_model, num_right=20):
    """Answers of which `num_search` score below their reference, `num_model` above; the others are right."""
    better = [(-3.0, -2.0)] * num_search + [(-2.0, -3.0)] * num_model + [(-1.0, -1.0)] * num_right
    wrong = [True] * (num_search + num_model) + [False] * num_right
    return *np.array(better).T, np.array(wrong)


def test_answers_that_score_below_their_reference_are_the_searchs_fault():
    found = find_fault(*made(30, 10))
    assert found.count == 40
    assert (found.search.value, found.model.value) == (0.75, 0.25)
    assert found.search.low < 0.75 < found.search.high
    assert found.search.low == pytest.approx(1 - found.model.high)
    assert np.flatnonzero(found.is_search).tolist() == list(range(30))
    assert "widen the beam before" in fault_text(found)


def test_answers_that_score_above_their_reference_are_the_models_fault():
    found = find_fault(*made(1, 99))
    assert found.model.value == 0.99
    assert fault_text(found).endswith("a better model is needed")
    assert "worth a try" in fault_text(find_fault(*made(15, 85)))


def test_a_few_answers_leave_it_open():
    assert "too close to say" in fault_text(find_fault(*made(3, 4)))


def test_wilsons_interval_is_that_of_the_share():
    # Wilson 1927 for 3 of 10, z = 1.96, by hand: centre (0.3 + 0.1921) / 1.3841, half 0.2482
    found = find_fault(*made(3, 7)).search
    assert (found.low, found.high) == pytest.approx((0.1078, 0.6032), abs=1e-4)


def test_equal_scores_are_the_models_fault_even_when_rounded():
    score = np.array([-12.345678, -12.345678])
    assert find_fault(score, score + np.array([0, 1e-6]), np.ones(2, bool)).search.value == 0


def test_right_answers_and_unknown_scores_are_left_out():
    nothing = np.array([np.nan, -1.0])
    assert find_fault(nothing, nothing, np.array([True, False])) is None
    found = find_fault(np.array([np.nan, -2.0]), np.array([-1.0, -1.0]), np.ones(2, bool))
    assert found.count == 1


def test_what_a_model_cannot_write_no_search_could_have_found():
    score, reference, wrong = made(4, 0, 0)
    found = find_fault(score, reference, wrong, np.array([True, False, False, False]))
    assert found.search.value == 0.25


def test_the_score_is_compared_and_not_the_probability():
    # "a b" has -2 nats, "a b c d" has -3; by their lengths -1 and -0.75: the search was right to take the longer one
    table = pl.DataFrame(
        {
            "text": ["x"], "target": ["a b"], "prediction": ["a b c d"], "references": ['["a b"]'], "error": [0.5],
            "log_probability": [-3.0], "reference_log_probability": [-2.0],
            "score": [-0.75], "reference_score": [-1.0],
        }
    )  # fmt: skip
    assert fault_of(read(table)).search.value == 0


def test_answers_of_one_group_count_less_than_as_many_independent_ones():
    score, reference, wrong = made(20, 20, 0)
    alone = find_fault(score, reference, wrong).search
    together = find_fault(score, reference, wrong, groups=np.arange(40) // 10).search
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_the_two_tags_share_out_the_error():
    score, reference, wrong = made(30, 10)
    table = pl.DataFrame({"error": np.where(wrong, 0.5, 0.0)})
    tags = tags_of(find_fault(score, reference, wrong))
    shares = {one.name: one for one in shares_of_errors(errors_of(table, 0.25), tags)}
    assert {name: one.share.value for name, one in shares.items()} == {SEARCH: 0.75, MODEL: 0.25}
    assert not any(one.is_specific for one in shares.values())  # it says nothing of the examples themselves


def diagnosis(cause=""):
    verdict = Verdict(None, (), 0.9, "", cause=cause)
    return Diagnosis("share", "error", (), (), verdict, ("first", "second", "third"))


def test_a_wider_beam_comes_first_where_the_search_is_at_fault_and_last_where_the_model_is():
    def command(width):
        return f"gnomon predict RUN beam={width}"

    first = apply_fault(diagnosis(), find_fault(*made(30, 10)), 1, command).advice
    assert [getattr(one, "command", one) for one in first] == ["gnomon predict RUN beam=4", "first", "second"]
    last = apply_fault(diagnosis(), find_fault(*made(20, 80)), 4, command)
    assert [getattr(one, "action", one) for one in last.advice] == ["first", "second", "widen the beam: 4 -> 16"]
    assert last.notes[0].startswith("of 100 wrong answers the search is at fault in 20.0 %")
    assert apply_fault(diagnosis(), find_fault(*made(1, 99)), 4, command).advice == ("first", "second", "third")
    assert apply_fault(diagnosis("unfinished"), find_fault(*made(9, 1)), 4, command) == diagnosis("unfinished")
    assert apply_fault(diagnosis(), None, 4, command) == diagnosis()
    assert advise_wider(find_fault(*made(1, 99)), 4, command) is None


def pairs(**cells):
    plain = {"text": ["a"], "target": ["b"], "prediction": ["c"], "references": ['["b", "d"]'], "error": [1.0]}
    return pl.DataFrame(plain | cells)


def test_pairs_are_told_from_other_tables():
    assert is_pairs(pairs())
    assert not is_pairs(pairs().drop("references"))
    assert not is_pairs(pairs(target=[1]))
    assert not is_pairs(pairs().clear())


@pytest.mark.parametrize(
    ("cell", "found"),
    [('["b", "d"]', ("b", "d")), ('[""]', ("",)), (None, ("b",)), ("[]", ("b",)), ("[1]", ("b",)), ('["x', ("b",))],
)
def test_references_that_are_no_list_leave_the_target(cell, found):
    table = pairs(references=pl.Series([cell], dtype=pl.String))
    assert read(table).references == (found,)


def test_empty_cells_are_empty_texts_and_unknown_numbers():
    table = pairs(prediction=pl.Series([None], dtype=pl.String), score=pl.Series([None], dtype=pl.Float64))
    found = read(table)
    assert found.answers == ("",)
    assert np.isnan([found.score[0], found.reference_score[0]]).all()
    assert fault_of(found) is None
