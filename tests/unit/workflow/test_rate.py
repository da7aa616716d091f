"""The range test: what it suggests, that it stops, and that it leaves no trace."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import gnomon
from gnomon.core.settings import from_flat, full_key
from gnomon.workflow import rate
from gnomon.workflow.prepare import prepare
from gnomon.workflow.rate import is_worth_a_test, lr, range_test, smoothed_losses, suggestion, sweep_rates
from gnomon.workflow.session import open_session

SETTINGS = {"model": "dense", "hidden": (32,), "epochs": 2, "seed": 3}


def session_of(source="digits", **settings):
    own = SETTINGS if "model" not in settings else {"epochs": 2, "seed": 3}
    opened = from_flat({**own, **settings})
    return open_session(prepare(source, opened), opened)


def test_rates_rise_evenly_on_a_log_scale():
    rates = np.array(sweep_rates())
    assert rates[0] == pytest.approx(1e-6)
    assert rates[-1] == pytest.approx(10.0)
    steps = np.diff(np.log10(rates))
    assert steps == pytest.approx(np.full(len(steps), 7 / 139))


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_loss():
    rates = [10.0**power for power in range(-6, 2)]
    assert suggestion(rates, [2.3, 2.3, 2.2, 1.5, 0.9, 1.4, 3.0, 9.0]) == pytest.approx(1e-3)  # lowest at 1e-2


def test_a_loss_that_never_falls_suggests_nothing():
    assert suggestion([1e-3, 1e-2, 1e-1], [1.0, 0.97, 1.2]) is None
    assert suggestion([], []) is None


def test_smoothing_is_the_bias_corrected_average():
    # paper: 0.05 a / 0.05 = a; then (0.95 * 0.05 a + 0.05 b) / (1 - 0.95^2)
    a, b = 4.0, 2.0
    assert smoothed_losses([a, b]) == pytest.approx([4.0, (0.95 * 0.05 * a + 0.05 * b) / (1 - 0.95**2)])


@pytest.mark.parametrize(
    "more", [{}, {"model": "convnet", "dropout": 0.5, "augment": "shift", "normalisation": "batch"}]
)
def test_the_model_and_the_random_states_are_restored_bit_for_bit(more):
    session = session_of(**more)
    before = {name: tensor.clone() for name, tensor in session.model.state_dict().items()}
    strides = [parameter.stride() for parameter in session.model.parameters()]
    random, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    was_training = session.model.training
    test = range_test(session)
    assert len(test.rates) > 20
    for name, tensor in session.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert [parameter.stride() for parameter in session.model.parameters()] == strides
    assert all(parameter.grad is None for parameter in session.model.parameters())
    assert torch.equal(random, torch.get_rng_state())
    assert (numpys == np.random.get_state()[1]).all()
    assert session.model.training is was_training
    assert range_test(session).losses == test.losses


def test_training_after_a_range_test_is_training_without_one(tmp_path):
    found = gnomon.fit("wine", **SETTINGS, learning_rate="auto", runs_folder=str(tmp_path / "a"))
    rate = found.settings.optimiser.learning_rate
    told = gnomon.fit("wine", **SETTINGS, learning_rate=rate, runs_folder=str(tmp_path / "b"))
    for split in ("train", "dev"):
        assert found.evaluation(split).table.equals(told.evaluation(split).table)
    assert "optimiser.learning_rate" in found.folder.load_settings()[1]  # a probe of this run trains with it
    assert any("range test" in note for note in found.folder.load_data()["notes"])


def test_the_sweep_ends_when_the_loss_diverges_and_the_suggestion_lies_below():
    test = range_test(session_of(optimiser="sgd"))
    assert test.suggested is not None
    assert test.suggested < test.lowest_at
    assert all(map(math.isfinite, test.losses))
    assert len(test.losses) == len(test.smoothed) == len(test.rates)
    if test.diverged:
        assert test.smoothed[-1] > rate.DIVERGED * min(test.smoothed) or len(test.rates) < rate.STEPS


def test_a_loss_that_is_not_a_number_ends_the_sweep(monkeypatch):
    session = session_of(optimiser="sgd")
    calls = []

    def hook(module, inputs, output):
        calls.append(1)
        return output * (math.nan if len(calls) > 30 else 1.0)

    session.model.head.register_forward_hook(hook)
    monkeypatch.setattr(rate.copy, "deepcopy", lambda model: model)
    test = range_test(session)
    assert test.diverged
    assert len(test.losses) == 30


def test_the_rate_found_trains_far_better_than_one_off_by_a_thousand():
    """Softmax regression on digits by plain descent: convex, and the right rate is not the default."""
    session = session_of(
        model="logistic", optimiser="sgd", weight_decay=0, augment="none", schedule="constant", epochs=5
    )
    test = range_test(session)
    errors = {}
    for factor in (1e-3, 1.0):
        found = gnomon.fit(
            "digits", model="logistic", optimiser="sgd", weight_decay=0, augment="none", schedule="constant", epochs=5,
            seed=3, learning_rate=test.suggested * factor,
        )  # fmt: skip
        errors[factor] = found.history[-1]["train_error"]
    assert errors[1.0] < 0.1 < errors[1e-3]


def test_the_picture_is_written_beside_the_runs(tmp_path):
    found = lr("wine", hidden=SETTINGS["hidden"], seed=SETTINGS["seed"], runs_folder=str(tmp_path / "runs"))
    assert found.picture == tmp_path / "runs" / "lr" / "wine.png"
    assert found.picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("settings", "is_worth"),
    [
        ({"optimiser": "sgd", "epochs": 60}, True),  # 60 epochs of 17 batches: the test is a seventh of that
        ({"optimiser": "sgd", "epochs": 30}, False),  # more than a quarter
        ({"optimiser": "adamw", "epochs": 60}, False),  # its rate was tuned
        ({"optimiser": "nesterov", "epochs": 60}, True),
        ({"optimiser": "sgd", "epochs": 60, "learning_rate": 0.1}, False),
        ({"optimiser": "sgd", "epochs": 60, "schedule": "discrete", "schedule.table": "1:0.1"}, False),
    ],
)
def test_a_test_is_run_unasked_if_it_is_cheap_and_no_rate_was_tuned_or_given(settings, is_worth):
    opened = from_flat({**SETTINGS, **settings})
    session = open_session(prepare("digits", opened), opened, frozenset(map(full_key, settings)))
    assert is_worth_a_test(session) is is_worth


def test_plain_descent_learns_with_the_rate_that_fit_found():
    how = {"model": "logistic", "optimiser": "sgd", "augment": "none", "schedule": "constant", "epochs": 45}
    found = gnomon.fit("digits", **how)
    default = gnomon.fit("digits", **how, learning_rate=0.004)
    assert found.settings.optimiser.learning_rate > 0.02
    assert found.history[2]["train_error"] < 0.7 * default.history[2]["train_error"]
    _, given = found.folder.load_settings()
    assert "optimiser.learning_rate" in given  # whoever trains again with these settings gets it too
