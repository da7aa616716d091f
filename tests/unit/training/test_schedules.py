"""Learning rates by step against the equations, torch's schedulers and tables on paper."""

from __future__ import annotations

import math

import pytest
import torch

from gnomon.core.errors import UsageError
from gnomon.core.settings import ScheduleSettings, from_flat, value_of
from gnomon.reference import schedules as equations
from gnomon.training.schedules import learning_rate_at, warmup_of

PER_EPOCH, EPOCHS, HIGHEST = 7, 12, 0.2
STEPS = range(PER_EPOCH * EPOCHS)


def rates(**settings):
    schedule = from_flat({f"schedule.{key}": value for key, value in settings.items()}).schedule
    return [
        learning_rate_at(step, highest=HIGHEST, settings=schedule, steps_per_epoch=PER_EPOCH, epochs=EPOCHS)
        for step in STEPS
    ]


def by_epoch(rule):
    return [rule(step // PER_EPOCH) for step in STEPS]


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"name": "constant"}, lambda e: HIGHEST),
        ({"name": "inverse", "decay": 1}, lambda e: equations.inverse_decay(HIGHEST, decay=1, epoch=e)),
        ({"name": "exponential"}, lambda e: equations.exponential_decay(HIGHEST, epoch=e)),
        (
            {"name": "staircase", "decay": 0.5, "every": 3},
            lambda e: equations.staircase_decay(HIGHEST, decay=0.5, interval=3, epoch=e),
        ),
        (
            {"name": "root", "decay": 0.5},
            lambda e: HIGHEST if e == 0 else equations.root_decay(HIGHEST, k=0.5, epoch=e),
        ),
        (
            {"name": "discrete", "table": "1:0.1,3:0.05,10:0.001"},
            # epochs are counted from 1 by people, from 0 by the equations
            lambda e: equations.discrete_decay({0: 0.1, 2: 0.05, 9: 0.001}, epoch=e),
        ),
    ],
    ids=["constant", "inverse", "exponential", "staircase", "root", "discrete"],
)
def test_schedules_that_count_epochs_equal_the_equations_at_every_step(settings, rule):
    assert rates(**settings) == pytest.approx(by_epoch(rule), rel=1e-12)


def test_inverse_decay_gives_the_table_of_the_notes():
    # alpha0 = 0.2, decay 1, epochs 1 to 4
    assert [round(rate, 3) for rate in rates(name="inverse", decay=1)[PER_EPOCH :: PER_EPOCH][:4]] == [
        0.1, 0.067, 0.05, 0.04,
    ]  # fmt: skip


def test_one_cycle_equals_torch_at_every_step():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=HIGHEST)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=HIGHEST, total_steps=len(STEPS), cycle_momentum=False
    )
    expected = []
    for _ in STEPS:
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if len(expected) < len(STEPS):
            scheduler.step()
    assert rates(name="one-cycle") == pytest.approx(expected, rel=1e-9)
    twin = [equations.one_cycle(HIGHEST, step=step, total_steps=len(STEPS)) for step in STEPS]
    assert rates(name="one-cycle") == pytest.approx(twin, rel=1e-9)


def test_the_cosine_equals_the_equation_at_every_step():
    twin = [
        equations.warmup_cosine(HIGHEST, step=step, warmup_steps=8, total_steps=84, lowest=HIGHEST / 100)
        for step in STEPS
    ]
    assert rates(name="cosine", warmup=0.1) == pytest.approx(twin, rel=1e-12)


def test_inverse_sqrt_is_the_papers_rate_with_its_highest_in_place_of_the_width():
    warm, width = 8, 1 / (8 * HIGHEST**2)  # with which the paper's highest rate, at step 8, is HIGHEST
    twin = [equations.inverse_root_warmup(width, step=step + 1, warmup_steps=warm) for step in STEPS]
    assert rates(name="inverse_sqrt", warmup=0.1) == pytest.approx(twin, rel=1e-12)
    assert max(twin) == twin[warm - 1] == pytest.approx(HIGHEST)


@pytest.mark.parametrize("name", ["constant", "inverse", "exponential", "staircase", "root", "discrete"])
def test_a_warm_up_rises_linearly_to_the_rate_of_the_schedule(name):
    more = {"table": "1:0.1"} if name == "discrete" else {}
    with_it, without = rates(name=name, warmup=0.1, **more), rates(name=name, **more)
    assert with_it[:8] == pytest.approx([(i + 1) / 8 * rate for i, rate in enumerate(without[:8])])
    assert with_it[8:] == without[8:]


def test_only_cosine_inverse_sqrt_and_one_cycle_warm_up_by_default():
    assert warmup_of(ScheduleSettings(name="inverse_sqrt")) == 0.1
    assert warmup_of(ScheduleSettings(name="cosine")) == 0.05
    assert warmup_of(ScheduleSettings(name="one-cycle")) == 0.3
    assert warmup_of(ScheduleSettings(name="inverse")) == 0.0
    assert warmup_of(ScheduleSettings(name="cosine", warmup=0.0)) == 0.0


@pytest.mark.parametrize("table", ["2:0.1", "1:0.1,1:0.2", "1:0.1,0.01", "1:-0.1", "1:0", "1:inf", "1:1e", "", "a:0.1"])
def test_an_invalid_table_of_rates_is_refused_with_an_example(table):
    with pytest.raises(UsageError, match=r"schedule\.table.*such as 1:0\.1,30:0\.01"):
        from_flat({"schedule.table": table})


def test_a_table_of_rates_is_kept_as_written_in_a_file():
    settings = from_flat({"schedule.table": " 1:0.10, 30:1e-2"})
    assert settings.schedule.table == ("1:0.1", "30:0.01")
    assert value_of(from_flat({"schedule.table": list(settings.schedule.table)}), "schedule.table") == (
        "1:0.1", "30:0.01",
    )  # fmt: skip


def test_discrete_without_a_table_says_what_one_looks_like():
    with pytest.raises(UsageError, match="needs its table"):
        rates(name="discrete")


def test_every_rate_is_a_positive_number():
    for name in ("constant", "cosine", "one-cycle", "inverse", "exponential", "staircase", "root", "inverse_sqrt"):
        for per_epoch, epochs in ((1, 1), (1, 3), (2, 1), (5, 2)):
            for step in range(per_epoch * epochs + 2):
                rate = learning_rate_at(
                    step, highest=1.0, settings=ScheduleSettings(name=name), steps_per_epoch=per_epoch, epochs=epochs
                )
                assert math.isfinite(rate)
                assert 0 < rate <= 1
