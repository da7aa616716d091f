"""lr: a learning-rate range test. The rate rises from step to step, the loss falls, then diverges; in between lies one
to train with. Leaves weights, optimiser and random states as they were."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Unpack

import numpy as np
from torch import nn

from gnomon.core.augmentation import KINDS
from gnomon.core.errors import DivergedError
from gnomon.core.seeds import generator
from gnomon.core.settings import refuse_idle, with_values
from gnomon.data.columns import Columns, length
from gnomon.nn.groups import set_training
from gnomon.runs.writer import write_bytes
from gnomon.training.evaluate import encode_whole
from gnomon.training.loop import Job, Judged, build_state, step
from gnomon.training.samplers import Sampler, batches_per_epoch, every_example
from gnomon.training.state import TrainingState
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import Session, own_threads_and_randomness, watched_threads
from gnomon.workflow.road.encode import on_device
from gnomon.workflow.road.open import settings_for, with_target
from gnomon.workflow.session import here_of, open_session
from gnomon.workflow.signals import watched
from gnomon.workflow.words import DataWords, spelled_out

RATE = "optimiser.learning_rate"
# The settings that do something in a range test: it has rates of its own, and is no longer than it is.
ACTING = (
    "data.", "split.", "task.", "model.", "init.", "transfer.", "regularise.weight_decay", "regularise.l",
    "regularise.dropout",
    "regularise.augment", *(f"regularise.{kind}" for kind in KINDS),
    "optimiser.name", "optimiser.batch_size", "optimiser.momentum", "optimiser.beta2",
    "optimiser.epsilon", "optimiser.clip", "machine.", "seed", "runs_folder",
)  # fmt: skip
LOWEST, HIGHEST = 1e-6, 10.0  # the sweep
STEPS = 140  # twenty per decade
SMOOTHING = 0.95  # weight of the past in the smoothed loss
DIVERGED = 4.0  # times the lowest smoothed loss: the sweep stops
FELL = 0.95  # of the initial loss: below it, the loss counts as having fallen
BELOW_LOWEST = 10.0  # the suggestion is the rate of the lowest loss divided by this
UNTUNED = ("sgd", "momentum", "nesterov")  # the default rates were tuned for steps that do not scale with the gradient
CHEAP = 0.2  # of the training's steps: up to this share, a test is run if no rate was tuned


@dataclass(frozen=True)
class RangeTest:
    """Rate and loss of every step, and what follows from them."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]  # of each step's batch
    smoothed: tuple[float, ...]
    suggested: float | None  # None: the loss never fell
    lowest_at: float  # the rate at which the smoothed loss was lowest
    diverged: bool  # False: the sweep reached its highest rate
    default: float  # what is used without a test
    batch_size: int
    seconds: float


@dataclass(frozen=True)
class Found:
    """A range test of a source, and where its picture is."""

    test: RangeTest
    picture: Path
    name: str  # of the data

    @property
    def suggested(self) -> float | None:
        """The learning rate to train with; None if the loss never fell."""
        return self.test.suggested


@spelled_out(DataWords)
def lr(source: Any, /, target: Any = None, **settings: Unpack[DataWords]) -> Found:
    """Sweep the learning rate over `source` as `fit` would train on it, and draw RUNS/lr/NAME.png.

    Takes the data that `gnomon.fit` takes. Raises UsageError, DataError, MachineError, StoppedError.
    """
    source, values = with_target(source, target, settings)
    opened, given = settings_for(values, verb="lr", acting=ACTING)
    with watched():
        session = open_session(prepare(source, opened), opened, given)
        refuse_idle(given, here_of(session), session.task.kind.title)
        test = range_test(session)
        name = session.prepared.source.name
        picture = Path(opened.runs_folder) / "lr" / f"{name}.png"
        from gnomon.figures.encode import png  # matplotlib: nothing that a fit should wait for before its first step
        from gnomon.figures.range_test import draw_range_test

        write_bytes(picture, png(draw_range_test(test.rates, test.losses, test.smoothed, suggested=test.suggested)))
        return Found(test, picture, name)


def range_test(session: Session) -> RangeTest:
    """One step each at rates that rise evenly on a log scale from LOWEST to HIGHEST, on batches of train.

    The sweep stops when the smoothed loss exceeds DIVERGED times its lowest value, or is not a number. Steps are taken
    on a copy of the model: the session's own, and torch's random state, are restored bit for bit.
    Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
    """
    settings, started = session.settings, time.monotonic()
    columns = _columns(session)
    job = Job(
        task=session.task,
        settings=settings,
        columns=columns,
        device=session.device,
        id_of=str,
        judge=_unjudged,
        watcher=_NoWatcher(),
        record=lambda _row: None,
        save=lambda _state: None,
        stop_asked=lambda: False,
        threads=watched_threads(session),
    )
    with own_threads_and_randomness(session):
        losses, smoothed, diverged = _sweep(job, build_state(job, copy.deepcopy(session.model)))
    rates = sweep_rates()[: len(losses)]
    lowest_at = rates[int(np.argmin(smoothed))] if smoothed else LOWEST
    batch_size = settings.optimiser.batch_size or length(columns)
    return RangeTest(
        rates, losses, smoothed, suggestion(rates, smoothed), lowest_at, diverged,
        settings.optimiser.learning_rate or 0.0, batch_size, time.monotonic() - started,
    )  # fmt: skip


def is_worth_a_test(session: Session) -> bool:
    """Whether `fit` runs a range test unasked: nobody chose a rate, none was tuned for this rule, and it is cheap."""
    settings = session.settings
    total, batch_size = len(session.prepared.splits["train"]), settings.optimiser.batch_size
    steps = (settings.stop.epochs or 1) * batches_per_epoch(total, batch_size or total)
    is_open = RATE not in session.given and settings.schedule.name != "discrete"
    return is_open and settings.optimiser.name in UNTUNED and steps * CHEAP >= STEPS


def with_found_rate(session: Session) -> Session:
    """The session with the learning rate that a range test suggests; if it suggests none, with its current one."""
    test = range_test(session)
    if test.suggested is None:
        note = f"the loss never fell in the range test: learning rate {test.default:g} is used"
        return replace(session, prepared=replace(session.prepared, notes=(*session.prepared.notes, note)))
    steps = f"a range test of {len(test.rates)} steps"
    note = f"learning rate {test.suggested:g} found by {steps} (default: {test.default:g})"
    return replace(
        session,
        settings=with_values(session.settings, {RATE: test.suggested}),
        given=session.given | {RATE},  # a training with these settings again uses it too
        prepared=replace(session.prepared, notes=(*session.prepared.notes, note)),
    )


def sweep_rates() -> tuple[float, ...]:
    """The rates of the sweep's steps, evenly spaced on a log scale."""
    return tuple(LOWEST * (HIGHEST / LOWEST) ** (i / (STEPS - 1)) for i in range(STEPS))


def suggestion(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """The rate of the lowest smoothed loss divided by BELOW_LOWEST, to two digits; None if the loss never fell.

    At the lowest loss itself training is about to diverge. Source: the rule "minimum / 10" of the fastai library.
    """
    if not smoothed or min(smoothed) > FELL * smoothed[0]:
        return None
    return float(f"{rates[int(np.argmin(smoothed))] / BELOW_LOWEST:.2g}")


def smoothed_losses(losses: Sequence[float]) -> list[float]:
    """Exponentially weighted average of the losses so far, corrected for its start at zero."""
    average, found = 0.0, []
    for count, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        found.append(average / (1 - SMOOTHING**count))
    return found


def _sweep(job: Job, state: TrainingState) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Losses, smoothed losses, and whether it diverged."""
    losses, counters = list[float](), state.counters
    batch_size = job.settings.optimiser.batch_size or length(job.columns)
    sampler: Sampler = job.task.kind.sampler or every_example
    epoch = sampler(job.columns, job.settings.seed, 0, batch_size)
    set_training(state.model)
    for rate in sweep_rates():
        if counters.seen >= len(epoch.order):
            counters.epoch, counters.seen = counters.epoch + 1, 0
            epoch = sampler(job.columns, job.settings.seed, counters.epoch, batch_size)
        try:
            indices = epoch.order[counters.seen : epoch.end_after(counters.seen, batch_size)]
            losses.append(step(job, state, indices, rate))
        except DivergedError:
            return tuple(losses), tuple(smoothed_losses(losses)), True
        smoothed = smoothed_losses(losses)
        if smoothed[-1] > DIVERGED * min(smoothed):
            return tuple(losses), tuple(smoothed), True
    return tuple(losses), tuple(smoothed_losses(losses)), False


def _columns(session: Session) -> Columns:
    """Train, or as much of it, drawn evenly, as the sweep can use."""
    train, batch_size = session.prepared.splits["train"], session.settings.optimiser.batch_size
    most = STEPS * batch_size if batch_size else len(train)
    if most < len(train):
        drawn = generator(session.settings.seed, "rate").permutation(len(train))[:most]
        train = train.take(np.sort(drawn))
    return on_device(encode_whole(session.task, train, Path(gettempdir())), session.device)


def _unjudged(_model: nn.Module) -> Judged | None:
    return None


class _NoWatcher:
    """A sweep shows no progress."""

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        pass

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        pass
