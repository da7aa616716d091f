"""What the claims about recurrent nets measure: each experiment once, tiny; and the parts that could mislead."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from claims import run_to_the_end

from gnomon.core.seeds import generator
from gnomon.gallery import _recall, clipping, gradients_through_time, memory_over_gaps, negatives

TINY: dict[ModuleType, dict[str, object]] = {
    clipping: {"UPDATES": 2, "RATES": (0.01,), "STEPS": 6},
    gradients_through_time: {"UPDATES": 2, "RATES": (0.01,), "GAP": 3},
    memory_over_gaps: {"UPDATES": 2, "RATES": (0.01,), "GAPS": (2, 5)},
    negatives: {"SIZES": (160, 320), "RATES": (0.1,), "EPOCHS": 1},
}


@pytest.mark.parametrize("module", TINY, ids=lambda module: module.__name__.rpartition(".")[2])
def test_an_experiment_runs_to_verdict_table_and_figure(monkeypatch, module: ModuleType):
    for name, value in TINY[module].items():
        monkeypatch.setattr(module, name, value)
    run_to_the_end(module.CLAIM)


# --- gradients --------------------------------------------------------------------------------------------------------
def test_the_gradient_of_a_linear_net_is_the_product_of_its_weights():
    # at activations of 0 the slope of tanh is 1: d answer / d x[T - k] = U' (W')^k v, for any W
    rng = np.random.default_rng(0)
    net = gradients_through_time.linear_net(1.0, 0)
    W, U, v = rng.normal(size=(8, 8)), rng.normal(size=(8, 8)), rng.normal(size=8)
    with torch.no_grad():
        layer = net.layers.onward[0]
        layer.weight_hh_l0.copy_(torch.from_numpy(W))
        layer.weight_ih_l0.copy_(torch.from_numpy(U))
        net.head.weight.copy_(torch.from_numpy(v))
    found = gradients_through_time.sizes(net, torch.zeros(1, 6, 8), torch.zeros(1, dtype=torch.int64))
    exact = [np.linalg.norm(U.T @ np.linalg.matrix_power(W.T, k) @ v) for k in range(6)]
    np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_the_size_of_a_gradient_is_its_root_mean_square_over_series_by_finite_differences():
    net = _recall.started("LSTM, bias 1", 3, 0).double()
    inputs, answers = _recall.drawn(2, 3, np.random.default_rng(0))
    found = gradients_through_time.sizes(net, inputs, answers)
    changes = np.zeros(inputs.shape)
    with torch.no_grad():
        for place in np.ndindex(*inputs.shape):
            sides = []
            for move in (1e-5, -1e-5):
                moved = inputs.double()
                moved[place] += move
                sides.append(float(net(moved)[place[0], answers[place[0]]]))
            changes[place] = (sides[0] - sides[1]) / 2e-5
    exact = np.sqrt((changes**2).sum(axis=2).mean(axis=0))[::-1]
    np.testing.assert_allclose(found, exact, rtol=1e-6)


# --- recall -----------------------------------------------------------------------------------------------------------
def test_the_symbol_to_recall_is_in_the_first_step_alone():
    inputs, symbols = _recall.drawn(200, 5, np.random.default_rng(0))
    assert inputs.shape == (200, 6, _recall.SYMBOLS + _recall.DISTRACTORS)
    assert torch.equal(inputs.sum(dim=2), torch.ones(200, 6))
    assert torch.equal(inputs[:, 0].argmax(dim=1), symbols)
    assert inputs[:, 1:, : _recall.SYMBOLS].sum() == 0
    assert set(symbols.tolist()) == set(range(_recall.SYMBOLS))
    counts = inputs[:, 1:].sum(dim=(0, 1))[_recall.SYMBOLS :]
    assert float((counts / 1000 - 1 / _recall.DISTRACTORS).abs().max()) < 0.06  # four standard deviations


def test_weights_start_orthogonal_with_open_forget_gates_or_as_torch_draws_them():
    units = _recall.UNITS
    names = ("LSTM, bias 1", "LSTM, bias ln(gap)", "LSTM, half open")
    ours, wide, plain = (_recall.started(name, 19, 0).layers.onward[0] for name in names)
    gate = ours.weight_hh_l0[:units]
    torch.testing.assert_close(gate @ gate.T, torch.eye(units))
    assert (ours.bias_ih_l0 + ours.bias_hh_l0).tolist() == [0] * units + [1] * units + [0] * 2 * units
    torch.testing.assert_close(wide.bias_ih_l0[units : 2 * units].sigmoid(), torch.full((units,), 19 / 20))
    assert all(0.5 * units**-0.5 < float(each.detach().abs().max()) <= units**-0.5 for each in plain.parameters())


@pytest.mark.parametrize("name", ["plain, orthogonal", "attention"])
def test_a_net_learns_to_recall_over_one_step(name):
    net = _recall.started(name, 1, 0)
    before, _ = _recall.cost_and_error(net, 1, 0)
    _recall.train(net, 1, 0.03, 100, 0)
    cost, error = _recall.cost_and_error(net, 1, 0)
    assert before == pytest.approx(np.log(4), abs=0.05)  # of a guess
    assert cost < 0.1
    assert error == 0


# --- clipping ---------------------------------------------------------------------------------------------------------
def test_the_answer_0_has_the_cost_that_counts_for_a_training_that_diverges():
    series = clipping.drawn(4000, np.random.default_rng(0))
    assert float(series.square().mean()) == pytest.approx(clipping.GUESS, abs=0.005)


def test_a_clipped_step_is_no_longer_than_rate_times_limit_and_goes_the_same_way():
    moves, norms = [], []
    for limit in (0.001, float("inf")):
        net = clipping.started(2.5, 0)
        before = torch.cat([each.detach().clone().flatten() for each in net.parameters()])
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
        norms.append(clipping.step(net, optimiser, clipping.drawn(10, generator(0, "test")), limit))
        moves.append(torch.cat([each.detach().flatten() for each in net.parameters()]) - before)
    assert norms[0] == norms[1] > 0.01
    assert float(moves[0].norm()) == pytest.approx(0.1 * 0.001, rel=1e-2)
    assert float(moves[1].norm()) == pytest.approx(0.1 * norms[1], rel=1e-3)
    assert float(torch.nn.functional.cosine_similarity(*moves, dim=0)) == pytest.approx(1, abs=1e-3)


def test_an_update_with_a_gradient_that_is_not_finite_is_left_out():
    net = clipping.started(0.5, 0)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    norm = clipping.step(net, optimiser, torch.full((2, 7), 1e30), 1.0)  # its square is above float32
    assert not np.isfinite(norm)
    assert all(bool(each.isfinite().all()) for each in net.parameters())


# --- negatives --------------------------------------------------------------------------------------------------------
def test_each_word_is_paired_with_those_up_to_a_window_away_in_its_line():
    text = np.arange(2 * negatives.LINE).reshape(2, -1)
    expected = [
        (int(one), int(other))
        for line in text
        for place, one in enumerate(line)
        for at, other in enumerate(line)
        if 0 < abs(place - at) <= negatives.WINDOW
    ]
    assert sorted(map(tuple, negatives.pairs_of(text).tolist())) == sorted(expected)


def test_vectors_by_cluster_are_found_and_drawn_ones_are_not():
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(negatives.NUM_WORDS, negatives.DIMENSIONS))
    middles = np.repeat(rng.normal(size=(negatives.CLUSTERS, negatives.DIMENSIONS)), negatives.EACH, axis=0)
    assert negatives.share_of(100 * middles + drawn) == 1.0
    by_chance = (negatives.EACH - 1) / (negatives.NUM_WORDS - 1)
    assert abs(negatives.share_of(drawn) - by_chance) < 0.05  # 1,000 words, which are not independent


def test_frequent_words_of_a_cluster_are_so_by_zipfs_law_and_half_of_the_words_are_of_the_topic():
    text = negatives.text_of(80_000, 0)
    often = np.bincount(text.ravel() % negatives.EACH, minlength=negatives.EACH)
    law = 1 / np.arange(1, negatives.EACH + 1)
    np.testing.assert_allclose(often / text.size, law / law.sum(), atol=0.01)
    same = (text[:, 0] // negatives.EACH == text[:, 1] // negatives.EACH).mean()
    topic, chance = negatives.FROM_TOPIC, 1 / negatives.CLUSTERS
    assert abs(same - (topic**2 + (1 - topic**2) * chance)) < 0.02
