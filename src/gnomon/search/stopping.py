"""Ending a bad trial early: the median rule, at two points of its training."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from gnomon.search.results import Result

LOOKS = (1 / 3, 2 / 3)  # shares of a trial's epochs after which it is looked at
FEWEST = 5  # trials that a median is taken of
FEWEST_EPOCHS = 4  # a shorter trial is left to its end


def bars(results: Sequence[Result], epochs: int) -> dict[int, float]:
    """{epoch: dev error} that a trial of `epochs` epochs must have reached by then, or it is ended.

    The bar is the median, over the trials of earlier rounds that came so far, of the best dev error by the same share
    of their epochs. With the usual schedules the learning rate falls to the end, and trials with a high one look worse
    on the way than they will be: hence a median, nothing sharper, and nothing before a third.
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
