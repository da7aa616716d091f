"""Everything decided before training, and what it is judged on: shared by every verb that trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch
from torch import nn

from gnomon.checks.shapes_and_cost import LayerRow, layer_table
from gnomon.checks.signals import layer_signals
from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.layer_signals import as_rows
from gnomon.core.seeds import derive, generator
from gnomon.core.settings import Settings, fill
from gnomon.core.task import Task
from gnomon.data.columns import Columns, length
from gnomon.metrics import intervals
from gnomon.nn.initialise import initialise
from gnomon.strategy.ladder import check_human
from gnomon.training.allocator import keep_freed_memory
from gnomon.training.evaluate import encode_whole, evaluate, to_device
from gnomon.training.loop import Judged, batches_an_epoch, mean_loss, split_error
from gnomon.training.schedules import rate_table, warmup_of
from gnomon.training.state import TrainingState
from gnomon.training.threads import Threads
from gnomon.workflow.prepare import Prepared

TRAIN_RUNG = 10_000  # training examples (evenly drawn) that the train rung is measured on
EPOCH_SAMPLE = 2_000  # of them, how many an epoch's row looks at
SIGNAL_EXAMPLES = 128  # of the fixed batch that signals are measured on
STEPS_BETWEEN_LOOKS = (100, 400)  # at signals: the fewest, in a short training, and the most
LOOKS = 10  # that a training between the two gets
FULL_BATCH_BELOW = 2_000  # training examples
ONE_THREAD_BELOW = 5e6  # multiply-adds a step (forward) below which one CPU thread is the faster choice
DEFAULTS: Mapping[str, Any] = {  # what neither the user nor the task says
    "model.activation": "relu",
    "model.normalisation": "none",
    "init.name": "he",
    "regularise.weight_decay": 0.0,
    "regularise.dropout": (),
    "regularise.augment": "none",
    "optimiser.name": "adam",
    "optimiser.learning_rate": 1e-3,
    "optimiser.batch_size": 64,
    "schedule.name": "cosine",
    "stop.epochs": 20,
    "machine.allocator": "system",
}


@dataclass(frozen=True)
class Session:
    """Everything decided before training."""

    prepared: Prepared
    task: Task
    settings: Settings  # filled in
    given: frozenset[str]
    model: nn.Module
    layers: list[LayerRow]
    device: torch.device
    started: float


def open_session(
    prepared: Prepared,
    opened: Settings,
    given: frozenset[str] = frozenset(),
    custom: nn.Module | None = None,
    started: float | None = None,
    task: Task | None = None,
) -> Session:
    """Fit the task's facts on train (or take `task`, which has them), fill the settings in, build the model."""
    train_split = prepared.splits["train"]
    task = task or prepared.task.from_train(train_split, opened)
    prepared = replace(prepared, notes=(*prepared.notes, *task.notes(train_split)))
    check_human(opened.goal.human or (), task.error_unit)
    settings = fill(fill(opened, task.defaults(opened, len(train_split))), DEFAULTS)
    settings = fill(settings, {"task": task.name, "schedule.warmup": warmup_of(settings.schedule)})
    if settings.schedule.name == "discrete":
        rate_table(settings.schedule)
    prepared = replace(prepared, notes=(*prepared.notes, *_offers(settings, len(train_split))))
    if settings.machine.allocator == "keep":
        keep_freed_memory()
    device = _device(settings.machine.device)
    model = custom if custom is not None else fresh_model(task, settings)
    layers = layers_of(task, model, train_split)
    settings = fill(settings, {"machine.threads": _threads(layers, settings, len(train_split))})
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    started = time.monotonic() if started is None else started
    return Session(prepared, task, settings, given, model, layers, device, started)


def _offers(settings: Settings, num_train: int) -> tuple[str, ...]:
    """Full-batch gradient descent is offered where it is cheap."""
    if num_train >= FULL_BATCH_BELOW or settings.optimiser.batch_size in (0, num_train):
        return ()
    return (f"{num_train:,} training examples are few enough for one batch an epoch, if you like: batch_size=0",)


def fresh_model(task: Task, settings: Settings) -> nn.Module:
    """The task's model with its starting weights: the same for the same settings."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(settings.seed, "model"))
        model = task.build_model(settings)
    start = torch.Generator().manual_seed(derive(settings.seed, "init"))
    initialise(model, settings.init.name or "he", start, scale=settings.init.scale)
    return model


def layers_of(task: Task, model: nn.Module, train_split: Examples) -> list[LayerRow]:
    """The layer table, from one forward pass over the first examples."""
    few = encode_whole(task, train_split.take(np.arange(min(2, len(train_split)))))
    batch = task.collate(few, torch.arange(min(2, len(train_split))))
    return layer_table(model, lambda module: task.outputs(module, batch), batch_size=min(2, len(train_split)))


def layer_row(row: LayerRow) -> dict[str, Any]:
    """A layer as plain values, as the run keeps it and the faces show it."""
    return {
        "name": row.name,
        "kind": row.kind,
        "shape": " x ".join(map(str, row.output_shape)),
        "parameters": row.parameters,
        "multiply_adds": row.multiply_adds,
        "activation": row.activation_size,
    }


def _threads(layers: list[LayerRow], settings: Settings, num_train: int) -> int:
    """One thread for small steps, all cores for large ones: a rule rather than a measurement, so that runs repeat.

    How many of them are used while other programs need the processors, `training.threads` decides.
    """
    every = torch.get_num_threads()
    multiply_adds = sum(row.multiply_adds or 0 for row in layers)
    batch = settings.optimiser.batch_size or num_train
    return 1 if multiply_adds * min(batch, num_train) < ONE_THREAD_BELOW else every


def _device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("machine.device=cuda, but torch sees no CUDA device.", fix="leave machine.device out.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def watched_threads(session: Session) -> Threads:
    """The number that was chosen, which gives way to other programs unless the user gave it."""
    is_fixed = "machine.threads" in session.given or session.device.type != "cpu"
    return Threads(torch.get_num_threads(), fixed=is_fixed)


@contextmanager
def own_threads_and_randomness(session: Session) -> Iterator[None]:
    """Inside, torch has the session's threads and its training seed; what was before comes back afterwards."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(session.settings.machine.threads or threads_before)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(session.settings.seed, "train"))
            yield
    finally:
        torch.set_num_threads(threads_before)


def on_device(columns: Columns, device: torch.device) -> Columns:
    if device.type == "cpu":
        return columns
    return {name: column.to(device) if isinstance(column, torch.Tensor) else column for name, column in columns.items()}


def train_sample(examples: Examples, most: int, seed: int) -> Examples:
    """At most `most` examples of train, drawn evenly by the run's seed."""
    if len(examples) <= most:
        return examples
    chosen = generator(seed, "train rung").choice(len(examples), most, replace=False)
    return examples.take(np.sort(chosen))


def judged_splits(session: Session, most_train: int) -> dict[str, Examples]:
    """What each open split is judged on. The test split stays sealed."""
    seed = derive(session.settings.seed, "judged")
    splits = {name: part for name, part in session.prepared.splits.items() if name != "test"}
    splits["train"] = train_sample(splits["train"], most_train, session.settings.seed)
    return {name: session.task.judged(part, seed) for name, part in splits.items()}


def epoch_judge(session: Session, encoded: Mapping[str, Columns] | None = None) -> Callable[[nn.Module], Judged]:
    """A function that measures train (a sample), train-dev and dev for an epoch's row.

    `encoded` holds the columns of splits (train-dev, dev) that have been encoded before.
    """
    small = min(EPOCH_SAMPLE, max(500, len(session.prepared.splits["train"]) // 20))
    examples = judged_splits(session, small)
    place = Path(gettempdir())
    columns = {
        name: (encoded or {}).get(name) or encode_whole(session.task, part, place) for name, part in examples.items()
    }

    def judge(model: nn.Module) -> Judged:
        _, evaluations = measured(session, model, examples, columns)
        errors = {name: split_error(evaluation) for name, evaluation in evaluations.items()}
        row: dict[str, Any] = {f"{name}_error": value for name, value in errors.items()}
        dev = evaluations["dev"]
        if dev.unit == SHARE and dev.split_error is None:  # cheap enough for every epoch
            interval = intervals.split_error(dev)
            row |= {"dev_low": interval.low, "dev_high": interval.high}
        return Judged(errors["train"], errors["dev"], row)

    return judge


def signals_look(session: Session, columns: Columns) -> Callable[[TrainingState, float], list[dict[str, Any]] | None]:
    """What the loop asks at the end of an epoch: the signals of every layer on a fixed batch of train, where due.

    Due at the first and the last epoch, and at the end of every epoch in which another tenth of all steps was made,
    at least 100 and at most 400: a look costs about as much as two or three steps, and so a hundredth of the training
    or less, of a short one a fortieth.
    """
    total, seed = length(columns), derive(session.settings.seed, "signals")
    rows = torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:SIGNAL_EXAMPLES].sort().values
    epochs = session.settings.stop.epochs or 1
    fewest, most = STEPS_BETWEEN_LOOKS
    steps = epochs * batches_an_epoch(total, session.settings.optimiser.batch_size or total)
    between = min(most, max(fewest, steps // LOOKS))

    def loss(model: nn.Module) -> torch.Tensor:
        batch = to_device(session.task.collate(columns, rows), session.device)
        return mean_loss(session.task.losses(session.task.outputs(model, batch), batch), batch)

    def look(state: TrainingState, rate: float) -> list[dict[str, Any]] | None:
        step, made = state.counters.step, state.counters.batch
        is_due = state.counters.epoch in (0, epochs - 1) or (step // between > (step - made) // between)
        if not is_due:
            return None
        optimiser = state.optimiser
        kept = {name: tensor.clone() for name, tensor in optimiser.tensors().items()}
        try:
            return as_rows(layer_signals(state.model, loss, lambda: optimiser.step(rate), device=session.device))
        finally:
            optimiser.load(kept)

    return look


def measured(
    session: Session, model: nn.Module, examples: Mapping[str, Examples], columns: Mapping[str, Columns] | None = None
) -> tuple[Task, dict[str, Evaluation]]:
    """The task, calibrated on dev, and the evaluation of each of `examples` (by split; dev is among them).

    `columns`: those of them that are encoded; the others are encoded on the way, a chunk at a time.
    """
    source = session.prepared.source.name
    target = session.settings.data.target_data
    names = {"train": source, "train_dev": source}
    judged_on = Path(target).stem if target else source

    def measure(task: Task, split: str) -> Evaluation:
        return evaluate(
            task, model, examples[split], split=split, source=names.get(split, judged_on), device=session.device,
            columns=(columns or {}).get(split),
        )  # fmt: skip

    dev = measure(session.task, "dev")
    final = session.task.calibrate(dev)
    return final, {name: dev if name == "dev" and final == session.task else measure(final, name) for name in examples}
