"""The learning rate of every step, as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from gnomon.core.errors import UsageError
from gnomon.core.settings import ScheduleSettings

ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 25 / 1e4  # fractions of the highest rate; torch's OneCycleLR has the same
WARMUP = {"cosine": 0.05, "one-cycle": 0.3, "inverse_sqrt": 0.1}  # fraction of all steps unless set; the others: 0


def warmup_of(settings: ScheduleSettings) -> float:
    """The fraction of all steps over which the rate rises."""
    return WARMUP.get(settings.name or "", 0.0) if settings.warmup is None else settings.warmup


def learning_rate_at(
    step: int, *, highest: float, settings: ScheduleSettings, steps_per_epoch: int, epochs: int
) -> float:
    """The rate of step 0, 1, ... `highest` is the rate at its highest.

    Every schedule rises linearly during its warm-up, step i of w at (i + 1)/w of what it would otherwise be
    (Goyal et al. 2017, section 2.2). After it the cosine falls to a hundredth of `highest` along half a cosine
    (Loshchilov and Hutter 2017, equation 5). one-cycle rises along half a cosine from highest/25 and falls along
    another to highest/250,000 at the last step (Smith and Topin 2018; momentum is not changed). inverse_sqrt falls as
    highest sqrt(w/(i + 1)) after w steps of warm-up (Vaswani et al. 2017, equation 3). The others count
    whole epochs e from 0 (the notes' formulas): inverse highest/(1 + decay e), exponential highest decay^e, staircase
    highest decay^floor(e/every), root highest decay/sqrt(e) from e = 1 on. discrete takes its rates from a table of
    epochs counted from 1, as the rows of a fit count them. Raises UsageError for discrete without a table.
    """
    total = max(1, steps_per_epoch * epochs)
    warmup = warmup_of(settings)
    if settings.name == "one-cycle":
        return highest * _one_cycle(step, total, warmup)
    rising = int(total * warmup)
    if settings.name == "cosine":
        if step < rising:
            return highest * (step + 1) / rising
        done = min(1.0, (step - rising) / max(1, total - rising))
        return _half_cosine(highest, highest / 100, done)
    if settings.name == "inverse_sqrt":
        rising = max(1, rising)
        return highest * min((step + 1) / rising, math.sqrt(rising / (step + 1)))
    rate = _by_epoch(step // steps_per_epoch, highest, settings)
    return rate * (step + 1) / rising if step < rising else rate


def _by_epoch(epoch: int, highest: float, settings: ScheduleSettings) -> float:
    decay = settings.decay
    match settings.name:
        case "constant":
            return highest
        case "inverse":
            return highest / (1 + (1.0 if decay is None else decay) * epoch)
        case "exponential":
            return highest * (0.95 if decay is None else decay) ** epoch
        case "staircase":
            return highest * (0.5 if decay is None else decay) ** (epoch // settings.every)
        case "root":
            return highest if epoch == 0 else highest * (1.0 if decay is None else decay) / math.sqrt(epoch)
        case "discrete":
            return [rate for first, rate in rate_table(settings) if first <= epoch + 1][-1]
    raise ValueError("the schedule's name is not set yet; fill in the settings first")


def rate_table(settings: ScheduleSettings) -> list[tuple[int, float]]:
    """(epoch counted from 1, rate from then on). Raises UsageError if there is none."""
    if settings.table is None:
        raise UsageError(
            "schedule=discrete needs its table of rates.", fix="set schedule.table=1:0.1,30:0.01, for example."
        )
    pairs = (entry.partition(":") for entry in settings.table)
    return [(int(epoch), float(rate)) for epoch, _, rate in pairs]


def _one_cycle(step: int, total: int, rising_share: float) -> float:
    """The fraction of the highest rate; the peak is at step rising_share * total - 1, as in torch."""
    peak, last = rising_share * total - 1, total - 1
    if step <= peak and peak > 0:
        return _half_cosine(ONE_CYCLE_START, 1.0, step / peak)
    return _half_cosine(1.0, ONE_CYCLE_END, min(1.0, (step - max(peak, 0)) / max(1, last - max(peak, 0))))


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))
