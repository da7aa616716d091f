"""The learning rate of every step, as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from gnomon.core.settings import ScheduleSettings


def learning_rate_at(
    step: int, *, highest: float, settings: ScheduleSettings, steps_per_epoch: int, epochs: int
) -> float:
    """The rate of step 0, 1, ... `highest` is the rate at its highest.

    cosine rises in a straight line over the first `warmup` share of all steps, then follows half a cosine down to a
    hundredth of `highest`. The others count whole epochs e from 0 (the notes' formulas):
    inverse highest/(1 + decay e), exponential highest decay^e, staircase highest decay^floor(e/every),
    root highest decay/sqrt(e) from e = 1 on.
    """
    epoch = step // steps_per_epoch
    decay = settings.decay
    match settings.name:
        case "constant":
            return highest
        case "cosine":
            return _cosine(step, highest, max(1, steps_per_epoch * epochs), settings.warmup)
        case "inverse":
            return highest / (1 + (1.0 if decay is None else decay) * epoch)
        case "exponential":
            return highest * (0.95 if decay is None else decay) ** epoch
        case "staircase":
            return highest * (0.5 if decay is None else decay) ** (epoch // settings.every)
        case "root":
            return highest if epoch == 0 else highest * (1.0 if decay is None else decay) / math.sqrt(epoch)
        case None:
            raise ValueError("the schedule's name is still open; fill the settings first")


def _cosine(step: int, highest: float, total: int, warmup: float) -> float:
    rising = int(total * warmup)
    if step < rising:
        return highest * (step + 1) / rising
    done = min(1.0, (step - rising) / max(1, total - rising))
    lowest = highest / 100
    return lowest + (highest - lowest) * 0.5 * (1 + math.cos(math.pi * done))
