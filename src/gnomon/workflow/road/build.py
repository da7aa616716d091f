"""Build the model and choose where it runs: the last thing decided before training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from gnomon.checks.shapes_and_cost import LayerRow, layer_table
from gnomon.core.errors import UsageError
from gnomon.core.example import Examples
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings, fill
from gnomon.core.task import Task
from gnomon.models import build
from gnomon.nn.initialise import initialise
from gnomon.training.allocator import keep_freed_memory
from gnomon.training.evaluate import encode_whole
from gnomon.training.threads import Threads
from gnomon.workflow.road.settings import Filled
from gnomon.workflow.road.split import Prepared

ONE_THREAD_BELOW = 5e6  # multiply-adds per step (forward) below which one CPU thread is faster


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


def build_model(filled: Filled, custom: nn.Module | None = None, started: float | None = None) -> Session:
    """The model with its starting weights (or `custom`), on its device; the number of threads.

    `started` is when the verb started, on time.monotonic()'s clock. Raises UsageError for a missing device.
    """
    task, settings, train_split = filled.task, filled.settings, filled.prepared.splits["train"]
    if settings.machine.allocator == "keep":
        keep_freed_memory()
    device = _device(settings.machine.device)
    model = custom if custom is not None else fresh_model(task, settings)
    layers = layers_of(task, model, train_split)
    settings = fill(settings, {"machine.threads": _threads(layers, settings, len(train_split))})
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    started = time.monotonic() if started is None else started
    return Session(filled.prepared, task, settings, filled.given, model, layers, device, started)


def fresh_model(task: Task, settings: Settings) -> nn.Module:
    """The task's model with its starting weights: the same for the same settings."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(settings.seed, "model"))
        model = build(task, settings)
    start = torch.Generator().manual_seed(derive(settings.seed, "init"))
    initialise(model, settings.init.name or "he", start, scale=settings.init.scale)
    return model


def layers_of(task: Task, model: nn.Module, train_split: Examples) -> list[LayerRow]:
    """The layer table, from one forward pass over the first examples."""
    few = encode_whole(task, train_split.take(np.arange(min(2, len(train_split)))))
    batch = task.collate(few, torch.arange(min(2, len(train_split))))
    return layer_table(model, lambda module: task.outputs(module, batch), batch_size=min(2, len(train_split)))


def _threads(layers: list[LayerRow], settings: Settings, num_train: int) -> int:
    """One thread for small steps, all cores for large ones: a rule rather than a measurement, so that runs repeat.

    `training.threads` decides how many of them are used while other programs need the processors.
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
    """The chosen number, which yields to other programs unless the user set it."""
    is_fixed = "machine.threads" in session.given or session.device.type != "cpu"
    return Threads(torch.get_num_threads(), fixed=is_fixed)


@contextmanager
def own_threads_and_randomness(session: Session) -> Iterator[None]:
    """Inside, torch has the session's threads and its training seed; afterwards the previous state is restored."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(session.settings.machine.threads or threads_before)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(session.settings.seed, "train"))
            yield
    finally:
        torch.set_num_threads(threads_before)
