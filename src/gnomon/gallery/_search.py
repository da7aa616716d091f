"""What the claims about search share: a place on a logarithmic scale, and one trial's dev cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from gnomon.core.errors import DivergedError
from gnomon.workflow.trial import Trials

F = TypeVar("F", float, np.ndarray)

NUM_CLASSES = 10  # of digits


def on_log_scale(place: F, low: float, high: float) -> F:
    """From [0, 1] to [low, high], equal steps multiplying."""
    return low * (high / low) ** place


def dev_cost(trials: Trials, changes: Mapping[str, Any]) -> float:
    """Mean loss on dev at the best epoch; at most that of a guess, which a trial that diverges counts with."""
    guess = math.log(NUM_CLASSES)
    try:
        table = trials.run({key: float(value) for key, value in changes.items()}).evaluations["dev"].table
    except DivergedError:
        return guess
    return min(float(table["loss"].to_numpy().mean()), guess)
