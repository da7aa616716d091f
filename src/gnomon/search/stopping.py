"""Stopping a bad trial early: the median rule, at two points of its training."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from gnomon.search.results import Result

LOOKS = (1 / 3, 2 / 3)  # shares of a trial's epochs after which it is checked
FEWEST = 5  # trials needed for a median
FEWEST_EPOCHS = 4  # shorter trials are never stopped


def bars(results: Sequence[Result], epochs: int) -> dict[int, float]:
    """{epoch: dev error} that a trial of `epochs` epochs must have reached by then, or it is stopped.

    The bar is the median, over the trials of earlier rounds that got that far, of the best dev error by the same share
    of their epochs. With the usual schedules the learning rate falls until the end, and trials with a high rate look
    worse on the way than they will end: hence nothing stricter than a median, and nothing before a third.
    Source: Golovin et al. 2017, "Google Vizier", section 3.2 (median stopping), at the rungs of successive halving.
    """
    if epochs < FEWEST_EPOCHS:
        return {}
    found: dict[int, float] = {}
    for share in LOOKS:
        reached = [one.best_by(max(1, round(share * one.epochs))) for one in results if one.epochs >= FEWEST_EPOCHS]
        reached = [error for error in reached if error != float("inf")]
        if len(reached) >= FEWEST:
            found[max(1, round(share * epochs))] = statistics.median(reached)
    return found
