"""Two models on the same examples: published p values, other libraries, planted differences, and the level."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.strategy.paired import holm, in_words, mcnemar, paired_test, randomisation_p


def judged(errors, *, unit=SHARE, groups=None, ids=None, target="a", split_error=None) -> Evaluation:
    size = len(errors)
    table = pl.DataFrame(
        {
            "id": list(range(size)) if ids is None else ids,
            "target": [target] * size,
            "error": np.asarray(errors, dtype=float),
            "group": pl.Series([None] * size if groups is None else list(map(str, groups)), dtype=pl.String),
        }
    )
    return Evaluation("dev", unit, table, split_error)


def pair(only_first: int, only_second: int, size: int) -> tuple[Evaluation, Evaluation]:
    first = np.r_[np.ones(only_first), np.zeros(size - only_first)]
    second = np.r_[np.zeros(only_first), np.ones(only_second), np.zeros(size - only_first - only_second)]
    return judged(first), judged(second)


def test_mcnemar_equals_the_binomial_test():
    for ours, theirs in [(1, 9), (6, 16), (5, 5), (0, 6), (150, 86)]:
        assert mcnemar(ours, theirs) == pytest.approx(stats.binomtest(ours, ours + theirs).pvalue)
    assert mcnemar(0, 0) == 1.0


def test_the_published_table_of_mcnemars_exact_test():
    # Agresti 2002, table 10.1 (approval of a prime minister): 150 and 86 change sides; the exact p is below 0.001
    assert mcnemar(150, 86) < 0.0001
    # by hand: 1 of 9 and 9 of ten, 2 (1 + 10) / 2^10
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)


def test_a_plain_pair_counts_what_only_one_gets_wrong():
    first, second = pair(30, 10, 1000)
    found = paired_test(first, second)
    assert (found.only_first, found.only_second, found.method) == (30, 10, "McNemar, exact")
    assert found.difference.value == pytest.approx(0.02)
    assert found.is_significant()
    assert "B is better than A by 2.0 points" in in_words(found, "A", "B", SHARE)


def test_an_insignificant_difference_comes_with_the_examples_needed():
    first, second = pair(12, 8, 1000)
    found = paired_test(first, second)
    assert not found.is_significant()
    # by hand: ((1.96 sqrt(0.02) + 0.8416 sqrt(0.02 - 0.004^2)) / 0.004)^2 = 9,809, and 1 / 0.004 for the exact test
    assert found.examples_to_confirm == pytest.approx(9_809 + 250, abs=2)
    assert "do not differ significantly on these 1,000 examples" in in_words(found, "A", "B", SHARE)
    assert "would take about 10,000 examples to confirm" in in_words(found, "A", "B", SHARE)


def test_models_with_equal_errors_need_no_number():
    found = paired_test(*pair(7, 7, 100))
    assert found.examples_to_confirm is None
    assert "their errors are equal" in in_words(found, "A", "B", SHARE)


def test_rows_are_matched_by_id():
    errors = np.array([1, 0, 0, 1, 0], dtype=float)
    turned = judged(errors[::-1], ids=list(range(5))[::-1])
    found = paired_test(judged(errors), turned)
    assert (found.only_first, found.only_second) == (0, 0)


def test_other_examples_or_other_targets_are_refused():
    with pytest.raises(DataError, match="4 and 4, 3 shared"):
        paired_test(judged([0, 1, 0, 1]), judged([0, 1, 0, 1], ids=[0, 1, 2, 9]))
    with pytest.raises(DataError, match="4 of 4 examples have a different target"):
        paired_test(judged([0, 1, 0, 1]), judged([0, 1, 0, 1], target="b"))


def test_randomisation_agrees_with_scipys_permutation_test():
    rng = np.random.default_rng(1)
    differences = rng.normal(0.3, 1.0, size=12)
    expected = stats.permutation_test(
        (differences, np.zeros(12)), lambda x, y: np.sum(x - y), permutation_type="samples", n_resamples=np.inf
    ).pvalue  # all 2^12 of them
    assert randomisation_p(differences, np.random.default_rng(0)) == pytest.approx(expected, abs=0.01)


def test_measured_errors_are_tested_by_swapping_models():
    rng = np.random.default_rng(0)
    shared = rng.exponential(1.0, 400)
    better = judged(shared * 0.9, unit="m")
    found = paired_test(judged(shared, unit="m"), better)
    assert found.method == "randomisation over 400 examples"
    assert found.is_significant()
    assert found.only_first is None
    noise = judged(np.abs(shared + rng.normal(0, 0.1, 400)), unit="m")
    assert noise.table["error"].min() >= 0


def test_groups_are_swapped_together():
    # 4 patients of 25 frames: 100 frames look like a clear difference, 4 patients cannot tell (at best p = 2 / 2^4)
    first, second = (
        judged(np.ones(100), groups=np.repeat(range(4), 25)),
        judged(np.zeros(100), groups=np.repeat(range(4), 25)),
    )
    found = paired_test(first, second)
    assert found.p_value == pytest.approx(2 / 16, abs=0.02)
    assert not found.is_significant()


def test_a_splits_own_metric_is_compared_by_the_paired_bootstrap():
    rng = np.random.default_rng(0)
    wrong = (rng.random(300) < 0.3).astype(float)
    less = wrong * (rng.random(300) < 0.6)

    def whole(errors):
        return lambda counts: float(np.sqrt((counts * errors).sum() / counts.sum()))

    found = paired_test(judged(wrong, split_error=whole(wrong)), judged(less, split_error=whole(less)))
    assert found.method == "paired bootstrap"
    assert found.is_significant()
    assert found.difference.value == pytest.approx(np.sqrt(wrong.mean()) - np.sqrt(less.mean()))


def test_holms_correction_is_the_published_one():
    # Holm 1979, by hand: 0.01 x 4, max with 0.02 x 3, ...
    assert holm([0.01, 0.04, 0.02, 0.5]) == pytest.approx([0.04, 0.08, 0.06, 0.5])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shares", "measured", "groups"])
def test_equal_models_differ_significantly_in_at_most_5_percent_of_cases(kind):
    rng = np.random.default_rng(0)
    told, rounds = 0, 600
    for _ in range(rounds):
        groups = np.repeat(np.arange(30), 10) if kind == "groups" else None
        hard = rng.random(300) ** 2 if groups is None else np.repeat(rng.random(30) ** 2, 10)
        draws = [
            (rng.random(300) < 0.4 * hard).astype(float) if kind != "measured" else rng.exponential(hard + 0.1)
            for _ in range(2)
        ]
        unit = "m" if kind == "measured" else SHARE
        told += paired_test(
            judged(draws[0], unit=unit, groups=groups), judged(draws[1], unit=unit, groups=groups)
        ).is_significant()
    assert told / rounds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / rounds)
