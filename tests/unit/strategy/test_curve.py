"""Learning curves: exact laws come back, forecasts cover what they say, and nothing is forecast from too little."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SHARE
from gnomon.metrics.intervals import wilson
from gnomon.strategy.curve import FORMS, Forecast, fit_curve, forecast, forecast_text, is_flat

SIZES = (100, 200, 400, 800)


def fitted(errors, sizes=SIZES, variance=1e-10, seed=0):
    rng = np.random.default_rng(seed)
    return fit_curve(sizes, errors, dev_variance=np.full(len(sizes), variance), rng=rng), rng


def test_an_exact_power_law_is_extrapolated():
    curve, rng = fitted([2 * n**-0.52 for n in SIZES])
    found = forecast(curve, rng)
    assert found.now == pytest.approx(2 * 800**-0.52, rel=0.01)
    assert found.error == pytest.approx(2 * 1600**-0.52, rel=0.01)
    assert forecast(curve, rng, factor=4).error == pytest.approx(2 * 3200**-0.52, rel=0.02)


def test_a_forecast_stays_above_a_floor():
    errors = [n**-1.0 + 0.05 for n in (20, 40, 80, 160)]
    curve, rng = fitted(errors, (20, 40, 80, 160))
    assert forecast(curve, rng).error == pytest.approx(1 / 320 + 0.05, rel=0.01)
    assert curve.weights[FORMS.index("power law above a floor")] > 0.95


def test_a_straight_line_in_log_n_is_one_of_the_forms():
    curve, rng = fitted([0.5 - 0.05 * np.log(n / 100) for n in SIZES])
    assert forecast(curve, rng).error == pytest.approx(0.5 - 0.05 * np.log(16), rel=0.01)


def test_an_error_that_stays_is_flat_and_one_that_halves_is_not():
    still, rng = fitted([0.08, 0.08, 0.08, 0.08])
    assert is_flat(forecast(still, rng))
    falling, rng = fitted([0.08, 0.04, 0.02, 0.01])
    assert not is_flat(forecast(falling, rng))


def test_rising_errors_are_forecast_as_flat_never_as_worse_than_now():
    curve, rng = fitted([0.05, 0.06, 0.06, 0.07], variance=1e-5)
    found = forecast(curve, rng)
    assert found.gain >= 0
    assert 0.04 < found.error < 0.08


def test_three_sizes_give_no_curve():
    assert fitted([0.3, 0.31, 0.2, 0.1], (100, 100, 200, 400))[0] is None


@pytest.mark.parametrize("factor", [1.0, 4.5])
def test_no_forecast_beyond_four_times_the_data_nor_backwards(factor):
    curve, rng = fitted([0.4, 0.3, 0.2, 0.1])
    with pytest.raises(UsageError, match="at most 4 times"):
        forecast(curve, rng, factor=factor)


def test_noise_widens_the_interval_and_it_holds_more_than_one_form():
    errors = [0.2, 0.15, 0.12, 0.1]
    sharp, rng = fitted(errors, variance=1e-7)
    vague, other = fitted(errors, variance=2e-4)
    near, far = forecast(sharp, rng), forecast(vague, other)
    assert far.high - far.low > 2 * (near.high - near.low)
    assert sum(weight > 0.05 for weight in vague.weights) >= 2


def test_repeats_that_disagree_widen_the_interval():
    sizes = (100, 100, 100, 200, 200, 400, 800)
    agreeing, rng = fitted([0.2, 0.2, 0.2, 0.15, 0.15, 0.12, 0.1], sizes, 1e-5)
    scattered, other = fitted([0.16, 0.2, 0.24, 0.12, 0.18, 0.12, 0.1], sizes, 1e-5)
    near, far = forecast(agreeing, rng), forecast(scattered, other)
    assert far.high - far.low > 1.5 * (near.high - near.low)


def test_a_forecast_fits_on_one_line():
    found = Forecast(2.0, 2000, 0.041, 0.033, 0.029, 0.038)
    assert forecast_text(found, SHARE) == "twice the data: 4.1 % -> 3.3 % [2.9, 3.8]"


# --- coverage ---------------------------------------------------------------------------------------------------------
def trained(rng, difficulty, error, noise):
    """0/1 errors (N,) of a system with this expected error, `noise` of whose variance differs from seed to seed."""
    latent = np.sqrt(1 - noise) * difficulty + np.sqrt(noise) * rng.normal(size=len(difficulty))
    return (latent < ndtri(min(error, 0.95))).mean()


def is_covered(rng, law, num_dev, factor):
    """Whether the interval holds the error of a system that is trained on `factor` times the data."""
    shares = (1 / 8, 1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 2, 1 / 2, 1)
    difficulty, noise = rng.normal(size=num_dev), rng.uniform(0.1, 0.5)
    errors = np.array([trained(rng, difficulty, law(share), noise) for share in shares])
    variance = np.maximum(errors * (1 - errors), 1 / num_dev) / num_dev
    curve = fit_curve([round(8000 * share) for share in shares], errors, dev_variance=variance, rng=rng)
    found = forecast(curve, rng, factor=factor)
    return found.low <= trained(rng, difficulty, law(factor), noise) <= found.high


def a_power_law(rng):
    a, b, c = rng.uniform(0.05, 0.2), rng.uniform(0.1, 0.9), rng.choice([0.0, rng.uniform(0, 0.1)])
    return lambda share: a * share**-b + c


def a_late_one(rng):
    """No member of the family: it begins to fall only after some examples."""
    a, b, start, c = rng.uniform(0.05, 0.2), rng.uniform(0.3, 0.9), rng.uniform(0.02, 0.1), rng.uniform(0, 0.05)
    return lambda share: a * ((share + start) / (1 + start)) ** -b + c


@pytest.mark.parametrize(("family", "least"), [(a_power_law, 0.9), (a_late_one, 0.87)])
@pytest.mark.parametrize("factor", [2.0, 4.0])
def test_forecast_intervals_cover_the_true_error(family, least, factor):
    """Nominally 95 %. 120 cases: the lower end of their own interval is what is held against the claim."""
    rng = np.random.default_rng(11)
    hits = [is_covered(rng, family(rng), rng.choice([400, 2000]), factor) for _ in range(120)]
    share = wilson(sum(hits), len(hits))
    print(f"\n{family.__name__} at {factor:g}x: {share.value:.3f} [{share.low:.3f}, {share.high:.3f}]")
    assert share.value >= least
