"""The median rule: what a trial must have reached by a third and two thirds of its epochs."""

from __future__ import annotations

from gnomon.search.results import DIVERGED, FINISHED, Result
from gnomon.search.stopping import bars


def trial(number, *errors, status=FINISHED, epochs=8):
    return Result(number, 1, {}, status, error=min(errors, default=float("inf")), epoch_errors=errors, epochs=epochs)


def test_the_bar_is_the_median_of_the_best_so_far():
    # of 8 epochs a third is 3, two thirds are 5; best by epoch 3: .4 .4 .3 .2 .1; by epoch 5: .2 .4 .3 .2 .1
    results = [
        trial(1, 0.6, 0.5, 0.4, 0.4, 0.2), trial(2, 0.4, 0.9, 0.9, 0.9, 0.9), trial(3, *[0.3] * 5),
        trial(4, *[0.2] * 5), trial(5, *[0.1] * 5),
    ]  # fmt: skip
    assert bars(results, 8) == {3: 0.3, 5: 0.2}


def test_no_bar_without_five_trials_to_compare_with():
    assert bars([trial(i, *[0.1] * 8) for i in range(4)], 8) == {}


def test_trials_that_never_got_that_far_set_no_bar():
    results = [trial(i, 0.5, 0.5, 0.5, 0.1, 0.1) for i in range(5)] + [trial(9, status=DIVERGED, epochs=0)]
    results += [trial(i, 0.0, 0.0) for i in range(20, 24)]  # ended after two epochs
    assert bars(results, 8) == {3: 0.5, 5: 0.1}


def test_a_trial_of_other_length_is_compared_at_the_same_share_of_its_epochs():
    results = [trial(i, *[0.5] * 5, *[0.2] * 11, epochs=16) for i in range(5)]
    assert bars(results, 8) == {3: 0.5, 5: 0.2}


def test_short_trials_are_never_stopped():
    assert bars([trial(i, 0.1, 0.1, 0.1, epochs=3) for i in range(9)], 3) == {}
