"""What is wrong with spans, and what would remain without it: small sentences worked out by hand."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.errors import DataError
from gnomon.metrics.span_table import in_words, is_spans, read
from gnomon.strategy.error_analysis import errors_of, shares_of_errors
from gnomon.strategy.span_tags import BOTH, KINDS, MISSED, SPURIOUS, WRONG_ENDS, WRONG_TYPE, find_errors, from_spans

TEXT = "Ada Lovelace met Babbage in Paris"  # Ada 0-3, Lovelace 4-12, Babbage 17-24, Paris 28-33


def table(*rows, text=TEXT) -> pl.DataFrame:
    """Rows of (truth, prediction)."""
    names = ["id", "text", "target", "prediction"]
    cells = [(str(n), text, json.dumps(truth), json.dumps(said)) for n, (truth, said) in enumerate(rows)]
    return pl.DataFrame(cells, schema=names, orient="row")


def kinds(truth, said):
    return [one.kind for one in find_errors(read(table((truth, said)))).found]


@pytest.mark.parametrize(
    ("truth", "said", "expected"),
    [
        ([[0, 12, "per"]], [[0, 12, "per"]], []), ([[0, 12, "per"]], [], [MISSED]), ([], [[0, 12, "per"]], [SPURIOUS]),
        ([[0, 12, "per"]], [[0, 3, "per"]], [WRONG_ENDS]), ([[0, 12, "per"]], [[0, 12, "org"]], [WRONG_TYPE]),
        ([[0, 12, "per"]], [[4, 12, "org"]], [BOTH]), ([[0, 3, "per"]], [[4, 12, "per"]], [SPURIOUS, MISSED]),
        ([[0, 12, "per"]], [[0, 3, "per"], [4, 12, "per"]], [WRONG_ENDS, WRONG_ENDS]),
        ([[0, 3, "per"], [4, 12, "per"]], [[0, 12, "per"]], [WRONG_ENDS, MISSED]),
        ([[0, 12, "org"], [17, 24, "per"]], [[4, 24, "per"]], [WRONG_ENDS, MISSED]),
    ],
)  # fmt: skip
def test_each_false_answer_is_of_one_kind(truth, said, expected):
    assert kinds(truth, said) == expected


def test_ceilings_are_what_f1_would_be_by_hand():
    # wanted 3, said 3, right 1 (Babbage): F1 = 2/6. Paris is named org; Ada is half of Ada Lovelace.
    rows = table(
        ([[0, 12, "per"], [17, 24, "per"], [28, 33, "loc"]], [[0, 3, "per"], [17, 24, "per"], [28, 33, "org"]])
    )
    errors = find_errors(read(rows))
    assert errors.error == pytest.approx(1 - 2 / 6)
    removed = {tag.name: tag.inside.removed for tag in from_spans(errors) if tag.inside is not None}
    # with either put right: right 2 of 3 and 3, F1 = 4/6; the error halves
    assert removed[WRONG_ENDS] == removed[WRONG_TYPE] == pytest.approx(0.5)


def test_two_halves_of_one_span_become_one_answer():
    # wanted 1, said 2, right 0; put right: one answer for the span, the other gone: F1 = 1
    errors = find_errors(read(table(([[0, 12, "per"]], [[0, 3, "per"], [4, 12, "per"]]))))
    assert errors.error_without(errors.found) == 0


def test_spurious_answers_go_and_missed_spans_are_found():
    errors = find_errors(read(table(([[0, 12, "per"]], [[28, 33, "loc"]]))))
    by_kind = {one.kind: errors.error_without([one]) for one in errors.found}
    assert by_kind == {SPURIOUS: pytest.approx(1.0), MISSED: pytest.approx(1 - 2 / 3)}


def test_properties_compare_spans_that_are_not_found_with_those_that_are():
    truth = [[0, 12, "per", "unseen"], [17, 24, "per", ""], [28, 33, "loc", "unseen unknown"]]
    tags = {tag.name: tag for tag in from_spans(find_errors(read(table((truth, [[17, 24, "per", 0.9]])))))}
    unseen = tags["span unseen in train"].inside
    assert (unseen.tagged, unseen.reviewed, unseen.right_tagged, unseen.right) == (2, 2, 0, 1)
    assert tags["unknown word"].inside.tagged == 1
    assert "long span" not in tags
    assert unseen.removed == pytest.approx(1.0)  # both are found then, and the third was


def test_tags_of_tokens_are_confusions_and_unknown_words():
    truth, said = [[0, 3, "N", ""], [4, 8, "V", "unknown"]], [[0, 3, "V", 1.0], [4, 8, "N", 1.0]]
    tags = from_spans(find_errors(read(table((truth, said), (truth, said), text="cat runs"))))
    assert {tag.name for tag in tags} >= {"N taken for V", "V taken for N", "unknown word"}
    assert not {tag.name for tag in tags} & set(KINDS)
    assert all(tag.inside.what == "wrong tokens" for tag in tags)


def test_shares_of_tags_are_of_false_answers_and_ordered_by_ceiling():
    rows = table(
        ([[0, 12, "per"]], []), ([[17, 24, "per"]], []), ([[28, 33, "loc"]], [[28, 33, "org"]]), ([], [])
    ).with_columns(error=pl.Series([1.0, 1.0, 1.0, 0.0]), weight=pl.lit(6.0), group=pl.lit(None, pl.String))
    errors = find_errors(read(rows))
    shares = shares_of_errors(errors_of(rows, errors.error), from_spans(errors))
    assert (shares[0].name, shares[0].tagged, shares[0].reviewed, shares[0].what) == (MISSED, 2, 3, "false answers")


spans = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4), st.sampled_from("ab")), max_size=4)


@settings(max_examples=60)
@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=3))
def test_putting_everything_right_leaves_no_error_and_no_kind_adds_any(rows):
    cells = [[[[start, start + size, kind] for start, size, kind in side] for side in row] for row in rows]
    errors = find_errors(read(table(*cells)))
    assert errors.error_without(errors.found) == pytest.approx(0)
    for kind in KINDS:
        assert errors.error_without([one for one in errors.found if one.kind == kind]) <= errors.error + 1e-12


def test_a_cell_that_holds_no_spans_is_an_error_with_its_row():
    assert is_spans(table(([], [])))
    assert not is_spans(table(([[0, 1]], [])))
    with pytest.raises(DataError, match=r"column prediction, 0: .*is not a list of spans in its text"):
        read(table(([], [[0, 99, "per"]])))


def test_spans_in_words_are_brackets_in_the_text():
    assert (
        in_words(TEXT, '[[28, 33, "loc", 0.9], [0, 12, "per", 1]]') == "[Ada Lovelace](per) met Babbage in [Paris](loc)"
    )
    assert in_words(TEXT, "no cell") == "no cell"
