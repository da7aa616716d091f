"""How many examples: published numbers, and what simulation says of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gnomon.core.errors import UsageError
from gnomon.metrics.intervals import wilson
from gnomon.strategy.paired import mcnemar
from gnomon.strategy.plan import (
    detectable_gain_paired,
    detectable_gain_unpaired,
    discordant_range,
    examples_for_width,
    examples_paired,
    examples_to_bound,
    examples_unpaired,
)


def test_two_independent_shares_take_what_the_book_says():
    # Fleiss, Levin and Paik 2003, table A.4 less the continuity correction: 0.60 against 0.70, 5 %, power 0.8
    assert examples_unpaired(0.6, 0.7) == pytest.approx(356, abs=1)
    # Casagrande, Pike and Smith 1978: 0.05 against 0.10, two-sided 5 %, power 0.8 without correction
    assert examples_unpaired(0.05, 0.10) == pytest.approx(435, abs=1)


def test_the_rule_of_three():
    # no error in n examples shows an error below 3 / n: (1 - p)^n <= 0.05
    for below in (0.1, 0.01, 0.001):
        exact = int(np.ceil(np.log(0.05) / np.log(1 - below)))
        assert examples_to_bound(0.0, below) == exact
        assert exact == pytest.approx(3 / below, rel=0.06)


def test_a_bound_is_the_clopper_pearson_one():
    n = examples_to_bound(0.01, 0.02)
    errors = stats.binom.ppf(0.8, n, 0.01)  # in 4 samples of 5 no more than so many
    upper = stats.binomtest(int(errors), n, alternative="less").proportion_ci(confidence_level=0.95).high
    assert upper <= 0.02 + 1e-9
    short = n * 0.9
    errors = stats.binom.ppf(0.8, int(short), 0.01)
    upper = stats.binomtest(int(errors), int(short), alternative="less").proportion_ci(confidence_level=0.95).high
    assert upper > 0.02


def test_independent_models_on_the_same_examples_cost_about_what_two_samples_do():
    least, most = discordant_range(0.10, 0.09)
    assert (least, most) == (pytest.approx(0.01), pytest.approx(0.1 * 0.91 + 0.09 * 0.9))
    paired, unpaired = examples_paired(most, 0.01), examples_unpaired(0.10, 0.09)
    assert paired == pytest.approx(unpaired, rel=0.05)
    assert examples_paired(least, 0.01) < unpaired / 10


def test_a_tenth_of_a_point_takes_a_large_dev_set():
    # Ng 2018, chapter 7: 90.0 % against 90.1 % is not seen on 100 examples, 1,000 to 10,000 tell larger differences
    assert examples_paired(0.02, 0.001) > 100_000
    assert examples_paired(0.04, 0.02) < 1_000


@pytest.mark.parametrize(("discordant", "difference"), [(0.05, 0.02), (0.2, 0.05), (0.03, 0.03)])
def test_mcnemar_tells_the_planned_difference_four_times_of_five(discordant, difference):
    n = examples_paired(discordant, difference)
    rng = np.random.default_rng(0)
    ours = (discordant + difference) / 2
    cells = rng.multinomial(n, [ours, discordant - ours, 1 - discordant], size=2000)
    table = {tuple(pair) for pair in cells[:, :2].tolist()}
    p_values = {pair: mcnemar(*pair) for pair in table}
    told = np.mean([p_values[tuple(pair)] < 0.05 for pair in cells[:, :2].tolist()])
    assert 0.77 <= told <= 0.88


@pytest.mark.parametrize(("error", "other"), [(0.10, 0.08), (0.02, 0.01), (0.5, 0.4)])
def test_two_samples_tell_the_planned_difference_four_times_of_five(error, other):
    n = examples_unpaired(error, other)
    rng = np.random.default_rng(0)
    ours, theirs = rng.binomial(n, error, 4000) / n, rng.binomial(n, other, 4000) / n
    pooled = (ours + theirs) / 2
    z = (ours - theirs) / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert 0.78 <= np.mean(np.abs(z) > stats.norm.ppf(0.975)) <= 0.82


@pytest.mark.parametrize(("error", "within"), [(0.1, 0.01), (0.01, 0.005), (0.5, 0.05), (0.0, 0.01)])
def test_the_interval_is_as_narrow_as_planned_four_times_of_five(error, within):
    n = examples_for_width(error, within)
    rng = np.random.default_rng(0)
    found = [wilson(int(errors), n) for errors in rng.binomial(n, error, 2000)]
    narrow = np.mean([(one.high - one.low) / 2 <= within for one in found])
    assert narrow >= 0.77
    assert n < 1.4 * (1.96**2 * max(error * (1 - error), within / 2) / within**2 + 4 / within)


@pytest.mark.parametrize(("error", "below"), [(0.01, 0.02), (0.05, 0.08), (0.001, 0.01)])
def test_the_bound_is_shown_four_times_of_five_and_wrongly_one_time_of_twenty(error, below):
    n = examples_to_bound(error, below)
    most = max(k for k in range(int(n * below) + 1) if stats.binom.cdf(k, n, below) <= 0.05)
    rng = np.random.default_rng(0)
    assert np.mean(rng.binomial(n, error, 20_000) <= most) >= 0.79
    assert np.mean(rng.binomial(n, below, 20_000) <= most) <= 0.055


def test_what_so_many_examples_tell_is_the_inverse_of_how_many_it_takes():
    for examples in (300, 1000, 20_000):
        gain = detectable_gain_unpaired(0.1, examples)
        assert gain is not None
        assert examples_unpaired(0.1, 0.1 - gain) <= examples < examples_unpaired(0.1, 0.1 - 0.99 * gain)
        paired = detectable_gain_paired(0.1, examples, overlap=0.5)
        assert paired is not None
        assert examples_paired(paired + 2 * (0.1 - paired) * 0.5, paired) <= examples
        assert paired < gain
    assert detectable_gain_unpaired(0.01, 50) is None
    with pytest.raises(UsageError, match="leave nothing to detect"):
        detectable_gain_paired(0.1, 0)


def test_what_no_number_of_examples_can_do_is_refused():
    with pytest.raises(UsageError, match=r"are both 0\.1"):
        examples_unpaired(0.1, 0.1)
    with pytest.raises(UsageError, match="no number of examples shows"):
        examples_to_bound(0.02, 0.01)
    with pytest.raises(UsageError, match="disagree on at least"):
        examples_paired(0.01, 0.02)
    with pytest.raises(UsageError, match="not a valid test"):
        examples_unpaired(0.1, 0.2, power=1.0)
    with pytest.raises(UsageError, match="not a share"):
        examples_unpaired(1.1, 0.2)
