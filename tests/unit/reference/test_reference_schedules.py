"""Learning-rate decays against torch's schedulers and closed forms."""

import math

import pytest
import torch

from gnomon.reference import schedules


def _torch_rates(build, steps):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    scheduler = build(optimiser)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def test_exponential_and_staircase_decay_equal_torch():
    exponential = [schedules.exponential_decay(0.2, epoch=epoch) for epoch in range(30)]
    assert exponential == pytest.approx(_torch_rates(lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.95), 30))
    staircase = [schedules.staircase_decay(0.2, decay=0.5, interval=4, epoch=epoch) for epoch in range(30)]
    assert staircase == pytest.approx(_torch_rates(lambda o: torch.optim.lr_scheduler.StepLR(o, 4, gamma=0.5), 30))


def test_cosine_after_the_warm_up_equals_torch():
    def build(optimiser):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20, eta_min=0.002)

    ours = [schedules.warmup_cosine(0.2, step=7 + i, warmup_steps=7, total_steps=27, lowest=0.002) for i in range(20)]
    assert ours == pytest.approx(_torch_rates(build, 20), rel=1e-10)


def test_one_cycle_equals_torch():
    def build(optimiser):
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=0.2, total_steps=31, pct_start=0.4, cycle_momentum=False
        )

    ours = [schedules.one_cycle(0.2, step=step, total_steps=31, rising_share=0.4) for step in range(30)]
    assert ours == pytest.approx(_torch_rates(build, 30), rel=1e-10)


def test_the_discrete_schedule_holds_each_rate_until_the_next_entry():
    rates = [schedules.discrete_decay({0: 0.1, 3: 0.01, 5: 0.001}, epoch=epoch) for epoch in range(7)]
    assert rates == [0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]


def test_the_warm_up_rises_in_equal_steps_and_never_starts_at_zero():
    rates = [schedules.warmup_cosine(1.0, step=step, warmup_steps=4, total_steps=10) for step in range(5)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_the_cosine_is_halfway_down_in_the_middle_and_ends_at_the_lowest_rate():
    assert schedules.warmup_cosine(1.0, step=55, warmup_steps=10, total_steps=100, lowest=0.2) == pytest.approx(0.6)
    assert schedules.warmup_cosine(1.0, step=100, warmup_steps=10, total_steps=100, lowest=0.2) == pytest.approx(0.2)


def test_fixed_interval_decay_is_inverse_decay_that_waits():
    rates = [schedules.fixed_interval_decay(0.2, decay=1, interval=3, epoch=epoch) for epoch in range(9)]
    assert rates == pytest.approx([0.2] * 3 + [0.1] * 3 + [0.2 / 3] * 3)


def test_root_decay_falls_as_one_over_the_root_of_the_epoch():
    rates = [schedules.root_decay(0.6, k=0.5, epoch=epoch) for epoch in (1, 4, 9)]
    assert rates == pytest.approx([0.3, 0.15, 0.1])
    assert schedules.root_decay(1.0, epoch=2) == pytest.approx(1 / math.sqrt(2))
