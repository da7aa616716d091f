"""What is said of the best trial is held against simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.metrics.intervals import wilson
from gnomon.search.findings import edges, importance, luck
from gnomon.search.results import FINISHED, Result, best_of, from_json, pack, ranked, to_json, unpack
from gnomon.search.space import Dimension, Space


def trials_with(shares, size, rng):
    """Trials whose true error is `shares`, judged on `size` examples, errors independent of each other."""
    results = []
    for number, share in enumerate(shares, start=1):
        errors = (rng.random(size) < share).astype(np.float32)
        found = wilson(errors.sum(), size)
        results.append(
            Result(number, 1, {"x": 0.5}, FINISHED, error=found.value, low=found.low, high=found.high, errors=errors)
        )
    return results


def test_the_estimated_luck_of_the_best_of_twenty_equals_is_right():
    rng = np.random.default_rng(0)
    expected, truly, bounds = [], [], []
    for seed in range(40):
        results = trials_with([0.1] * 20, 500, rng)
        found = luck(results, seed=seed)
        expected.append(found.expected)
        bounds.append(found.bound)
        truly.append(0.1 - ranked(results)[0].error)
    assert np.mean(expected) == pytest.approx(np.mean(truly), rel=0.25)
    assert np.mean(bounds) > np.mean(truly)  # sigma sqrt(2 ln k) is an upper end


def test_a_clear_winner_owes_nothing_to_luck():
    found = luck(trials_with([0.05, *[0.4] * 10], 500, np.random.default_rng(1)))
    assert found.expected < 0.003


def test_without_errors_of_examples_only_the_bound_is_known():
    results = [Result(i, 1, {}, FINISHED, error=0.1, low=0.08, high=0.12) for i in (1, 2)]
    found = luck(results)
    assert found.expected is None
    # half width .02 = 1.96 sigma; sigma sqrt(2 ln 2)
    assert found.bound == pytest.approx(0.02 / 1.96 * np.sqrt(2 * np.log(2)), rel=1e-3)


def test_one_trial_has_no_luck():
    assert luck([Result(1, 1, {}, FINISHED, error=0.1, low=0.08, high=0.12)]) is None


SPACE = Space((
    Dimension("learning_rate", "optimiser.learning_rate", "log", 1, 1e-3, 1e-4, 0.1),
    Dimension("units", "model.hidden", "whole, log", 2, 64, 8, 512),
    Dimension("dropout", "regularise.dropout", "linear", 3, 0.2, 0.0, 0.5),
))  # fmt: skip


def random_trials(error, count=60, seed=0):
    rng = np.random.default_rng(seed)
    points = [{one.name: one.at(rng.random()) for one in SPACE} for _ in range(count)]
    return [Result(i + 1, 1, point, FINISHED, error=error(point, rng)) for i, point in enumerate(points)]


def test_a_setting_that_alone_decides_the_error_gets_all_the_importance():
    found = importance(SPACE, random_trials(lambda p, _: abs(np.log10(p["learning_rate"]) + 2)))
    assert next(iter(found.shares)) == "learning_rate"
    assert found.shares["learning_rate"] > 0.8
    assert found.shares["units"] < 0.1


def test_two_equally_important_settings_share_the_importance():
    # both are uniform on [0, 1] in place, so their sum owes half of its variance to each
    error = lambda p, _: SPACE["learning_rate"].place(p["learning_rate"]) + 2 * p["dropout"]  # noqa: E731
    found = importance(SPACE, random_trials(error, count=200))
    assert found.shares["learning_rate"] == pytest.approx(found.shares["dropout"], abs=0.15)
    assert found.shares["units"] < 0.05


def test_noise_has_no_importance():
    said = [importance(SPACE, random_trials(lambda _, rng: rng.random(), seed=seed)) for seed in range(10)]
    assert sum(one is not None for one in said) <= 1


OTHER = Result(8, 1, {"learning_rate": 0.01, "units": 100, "dropout": 0.1}, FINISHED, error=0.2)


def test_a_best_at_the_edge_comes_with_a_wider_range():
    best = Result(7, 1, {"learning_rate": 0.098, "units": 512, "dropout": 0.25}, FINISHED, error=0.1)
    found = {edge.name: edge for edge in edges(SPACE, best, [best, OTHER])}
    assert set(found) == {"learning_rate", "units"}
    assert found["learning_rate"].end == "upper"
    assert found["learning_rate"].wider[1] == pytest.approx(1.0)  # ten times higher
    assert found["units"].wider[1] == 2048


def test_zero_dropout_is_not_an_edge():
    best = Result(7, 1, {"learning_rate": 0.003, "units": 64, "dropout": 0.0}, FINISHED, error=0.1)
    assert edges(SPACE, best, [best, OTHER]) == []


def test_a_setting_that_never_varied_has_no_edge():
    best = Result(7, 1, {"learning_rate": 0.1, "units": 512, "dropout": 0.5}, FINISHED, error=0.1)
    assert edges(SPACE, best, [best]) == []


def test_a_trial_that_meets_every_condition_beats_a_better_one_that_does_not():
    results = [
        Result(1, 1, {}, FINISHED, error=0.05, unmet=("latency_ms <= 10: it has 95",)),
        Result(2, 1, {}, FINISHED, error=0.08),
        Result(3, 1, {}, FINISHED, error=0.10),
    ]
    assert best_of(results).number == 2


def test_of_equal_errors_the_smaller_loss_is_better():
    assert (
        best_of(
            [Result(1, 1, {}, FINISHED, error=0.1, loss=0.5), Result(2, 1, {}, FINISHED, error=0.1, loss=0.4)]
        ).number
        == 2
    )


def test_errors_of_examples_survive_a_line_of_the_ledger():
    errors = np.random.default_rng(0).random(1000).astype(np.float32)
    assert (unpack(pack(errors)) == errors).all()
    assert len(pack((errors < 0.1).astype(np.float32))) < 1000


def test_a_result_survives_json_also_with_an_infinite_error():
    first = Result(3, 2, {"units": 8}, FINISHED, error=0.1, epoch_errors=(0.3, float("inf")), measures={"size_mb": 2.0})
    assert from_json(to_json(first)) == first
