"""How long a run's model takes for one example, measured here and now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnomon.core.errors import GnomonError
from gnomon.data.opening import open_source
from gnomon.metrics.interval import Interval
from gnomon.training.evaluate import Member, judging
from gnomon.training.threads import Chosen, using
from gnomon.workflow.predict import with_crops
from gnomon.workflow.prepare import source_of

if TYPE_CHECKING:
    from gnomon.core.parts import Batch
    from gnomon.core.task import Task
    from gnomon.workflow.run import Run

EXAMPLES = 8  # used in turn, so that lengths and sizes vary as they do in the data
WARM_UP = 5  # calls that allocate and choose kernels; not counted
FEWEST, MOST = 30, 1000  # calls
SECONDS = 0.5  # limit for the calls after FEWEST


def latency(run: Run, source: Any = None, *, crops: int = 1) -> Interval:
    """Milliseconds from one encoded example to its decoded answer: the median call, on this machine's processor.

    With the run's number of threads; of folds, one model after the other; of crops, one view after the other. The
    interval is that of a median (order statistics), over calls.
    `source` is needed for data that was in memory. Raises a GnomonError if no example is available.
    """
    threads = run.settings.machine.threads
    return in_turn(
        [
            median(np.array(timed(one, _batches_of_one(run, one.task, source), threads)))
            for one in with_crops(run.members, crops)
        ]
    )


def in_turn(each: Sequence[Interval]) -> Interval:
    """How long several models take one after the other; the interval is no wider than the sum of theirs."""
    value, low, high = (sum(getattr(one, end) for one in each) for end in ("value", "low", "high"))
    return Interval(value, low, high, each[0].method)


def timed(member: Member, batches: Sequence[Batch], threads: Chosen, *, most: int = MOST) -> list[float]:
    """Milliseconds of each call with one of `batches` in turn, on `threads` threads: FEWEST calls, or more in time."""
    taken: list[float] = []
    with using(threads), judging(member.model):
        for count in range(WARM_UP + most):
            batch = batches[count % len(batches)]
            began = time.perf_counter()
            member.task.judge.predict(member.model, member.outputs(batch), batch)
            if count >= WARM_UP:
                taken.append(1000 * (time.perf_counter() - began))
            if len(taken) >= FEWEST and sum(taken) > 1000 * SECONDS:
                break
    return taken


def median(values: np.ndarray) -> Interval:
    """The median of values (N,), N >= 6, with its interval. Source: David and Nagaraja 2003, 7.1."""
    from scipy.stats import binom

    ordered, size = np.sort(values), len(values)
    below = int(binom.ppf(0.025, size, 0.5))
    return Interval(
        float(np.median(ordered)), float(ordered[below - 1]), float(ordered[size - below]), "order statistics"
    )


def _batches_of_one(run: Run, task: Task, source: Any) -> list[Batch]:
    card = run.folder.load_data()
    thing = source_of(card, source, in_memory="pass it to measure latency.", moved="put it back there.")
    examples = task.reader.read_inputs(
        open_source(thing, run.settings.runs_folder), run.settings.data, task.encoder
    ).splits["all"]
    if not len(examples):
        raise GnomonError("there is no example to time.", fix="put the data back.")
    columns = task.encoder.encode(examples.take(np.arange(min(EXAMPLES, len(examples)))))
    return [task.batch(columns, torch.tensor([place])) for place in range(min(EXAMPLES, len(examples)))]
