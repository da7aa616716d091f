"""Every update rule, on flat parameters, step by step against the equations in NumPy and against torch.optim."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.core.settings import OptimiserSettings, RegulariseSettings
from gnomon.reference import clipping, optimisers, penalties
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import SLOTS, Optimiser

STEPS, RATE = 40, 0.02


def _state(W):
    return {"v": np.zeros_like(W), "s": np.zeros_like(W)}


def _plain(W, dW, state, t):
    return optimisers.sgd_step(W, dW, learning_rate=RATE), state


def _velocity(rule):
    def step(W, dW, state, t):
        W, v = rule(W, dW, state["v"], learning_rate=RATE, beta=0.9)
        return W, {**state, "v": v}

    return step


def _rmsprop(W, dW, state, t):
    W, s = optimisers.rmsprop_step(W, dW, state["s"], learning_rate=RATE, beta=0.999, epsilon=1e-8)
    return W, {**state, "s": s}


def _adam(W, dW, state, t):
    W, v, s = optimisers.adam_step(W, dW, state["v"], state["s"], t, learning_rate=RATE)
    return W, {"v": v, "s": s}


def _adamw(W, dW, state, t):
    decay = 0.3 if W.ndim >= 2 else 0.0
    W, v, s = optimisers.adamw_step(W, dW, state["v"], state["s"], t, learning_rate=RATE, weight_decay=decay)
    return W, {"v": v, "s": s}


RULES = {
    "sgd": (_plain, lambda w, o: torch.optim.SGD([*w, *o], lr=RATE)),
    "momentum": (_velocity(optimisers.momentum_step), lambda w, o: torch.optim.SGD([*w, *o], lr=RATE, momentum=0.9)),
    "nesterov": (
        _velocity(optimisers.nesterov_step),
        lambda w, o: torch.optim.SGD([*w, *o], lr=RATE, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (_rmsprop, lambda w, o: torch.optim.RMSprop([*w, *o], lr=RATE, alpha=0.999)),
    "adam": (_adam, lambda w, o: torch.optim.Adam([*w, *o], lr=RATE)),
    "adamw": (
        _adamw,
        lambda w, o: torch.optim.AdamW(
            [{"params": w, "weight_decay": 0.3}, {"params": o, "weight_decay": 0.0}], lr=RATE
        ),
    ),
}


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def bent_loss(model, t):
    """A loss whose gradient depends on where the weights are, and on the step."""
    x = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(6, 4) * (1 + t % 3)
    return (model(x) - torch.arange(12, dtype=torch.float64).reshape(6, 2) / 6).pow(2).mean()


def test_there_is_an_equation_for_every_rule():
    assert RULES.keys() == SLOTS.keys()


@pytest.mark.parametrize("name", RULES)
def test_an_update_rule_follows_its_equation_and_torch(name):
    rule, build = RULES[name]
    ours, twin = small_net(), small_net()
    flat = FlatParameters(ours)
    decay = 0.3 if name == "adamw" else 0.0
    optimiser = Optimiser(flat, OptimiserSettings(name=name), RegulariseSettings(weight_decay=decay), 6)
    theirs = build([p for p in twin.parameters() if p.dim() >= 2], [p for p in twin.parameters() if p.dim() < 2])
    by_hand = [p.detach().numpy().copy() for p in small_net().parameters()]
    states = [_state(W) for W in by_hand]
    for t in range(1, STEPS + 1):
        walker = small_net()  # at the equations' place, to take the gradient there
        with torch.no_grad():
            for parameter, W in zip(walker.parameters(), by_hand, strict=True):
                parameter.copy_(torch.from_numpy(W))
        gradients = torch.autograd.grad(bent_loss(walker, t), list(walker.parameters()))
        moved = [rule(W, g.numpy(), s, t) for W, g, s in zip(by_hand, gradients, states, strict=True)]
        by_hand, states = [W for W, _ in moved], [state for _, state in moved]
        bent_loss(ours, t).backward()
        optimiser.step(RATE)
        theirs.zero_grad()
        bent_loss(twin, t).backward()
        theirs.step()
        for one, two, three in zip(ours.parameters(), twin.parameters(), by_hand, strict=True):
            # a weight decay of all buffers by one factor, in another order than torch's: equal to rounding
            torch.testing.assert_close(one, two, rtol=1e-7, atol=1e-9, msg=f"step {t} beside torch")
            np.testing.assert_allclose(one.detach().numpy(), three, rtol=1e-7, atol=1e-9, err_msg=f"step {t}")
    assert (
        max((p - q).abs().max().item() for p, q in zip(ours.parameters(), small_net().parameters(), strict=True)) > 0.1
    )


def test_l1_and_l2_enter_as_the_gradients_of_their_loss_terms():
    ours = small_net()
    flat = FlatParameters(ours)
    optimiser = Optimiser(flat, OptimiserSettings(name="sgd"), RegulariseSettings(l1=0.5, l2=2.0, weight_decay=0), 10)
    before = [p.detach().numpy().copy() for p in ours.parameters()]
    gradients = torch.autograd.grad(bent_loss(ours, 1), list(ours.parameters()))
    bent_loss(ours, 1).backward()
    optimiser.step(0.1)
    for parameter, W, g in zip(ours.parameters(), before, gradients, strict=True):
        dW = g.numpy()
        if W.ndim >= 2:
            dW = dW + penalties.l2_penalty_backward(W, strength=2.0, num_examples=10)
            dW = dW + penalties.l1_penalty_backward(W, strength=0.5, num_examples=10)
        np.testing.assert_allclose(parameter.detach().numpy(), W - 0.1 * dW, rtol=1e-10)
    by_hand = sum(
        penalties.l2_penalty(p.detach().numpy(), strength=2.0, num_examples=10)
        + penalties.l1_penalty(p.detach().numpy(), strength=0.5, num_examples=10)
        for p in ours.parameters()
        if p.dim() >= 2
    )
    assert optimiser.penalty().item() == pytest.approx(by_hand)


@pytest.mark.parametrize(("norm", "value"), [(0.1, 0.0), (0.0, 0.01), (0.1, 0.01)])
def test_clipping_equals_the_equations(norm, value):
    ours = small_net()
    flat = FlatParameters(ours)
    bent_loss(ours, 1).backward()
    gradients = [p.grad.numpy().copy() for p in ours.parameters()]
    flat.clip(norm=norm, value=value)
    if norm:
        gradients, _ = clipping.clip_by_norm(gradients, norm)
    if value:
        gradients = clipping.clip_by_value(gradients, value)
    for parameter, gradient in zip(ours.parameters(), gradients, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy(), gradient, rtol=1e-4)  # torch divides by the norm + 1e-6


def test_weights_shrink_with_lambda():
    sizes = []
    for strength in (0.0, 1.0, 10.0, 100.0):
        model = small_net()
        optimiser = Optimiser(
            FlatParameters(model), OptimiserSettings(name="sgd"), RegulariseSettings(l2=strength, weight_decay=0), 6
        )
        for t in range(100):
            bent_loss(model, t).backward()
            optimiser.step(0.01)
        sizes.append(optimiser.parameters.weights.norm().item())
    assert sizes == sorted(sizes, reverse=True)
