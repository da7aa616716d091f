"""Build the model and choose where it runs: the last thing decided before training."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from gnomon.checks.shapes_and_cost import LayerRow, layer_table
from gnomon.core.augmentation import strengths
from gnomon.core.errors import UsageError
from gnomon.core.example import Examples
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings, fill
from gnomon.core.task import Task
from gnomon.models import build
from gnomon.nn.initialise import initialise
from gnomon.training.allocator import keep_freed_memory
from gnomon.training.evaluate import encode_whole
from gnomon.training.frozen import FrozenEncoder, after_frozen, can_be_kept
from gnomon.training.threads import Threads, threads_for, using
from gnomon.training.weights import Taken
from gnomon.workflow.road.onward import goes_on, load_before
from gnomon.workflow.road.settings import Filled
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.road.start import notes_on_distance, notes_on_start, start_from_elsewhere
from gnomon.workflow.road.words import notes_on_vectors, start_from_vectors

ADAPTIVE = "threads follow the load of this machine: the same seed may give slightly other weights (threads=adaptive)"


@dataclass(frozen=True)
class Session:
    """Everything decided before training."""

    prepared: Prepared
    task: Task
    settings: Settings  # filled in
    given: frozenset[str]
    model: nn.Module
    layers: list[LayerRow]  # of the whole network, also where only a part of it is trained
    device: torch.device
    started: float
    whole: nn.Module  # of which `model` is the part that is trained
    start: Taken | None = None  # the weights from elsewhere that it starts from

    def system(self, task: Task) -> tuple[Task, nn.Module]:
        """What a run keeps: `task`, this session's or calibrated, for the data's own inputs; the whole network."""
        encoder = task.encoder.base if isinstance(task.encoder, FrozenEncoder) else task.encoder
        return replace(task, encoder=encoder), self.whole


def build_model(filled: Filled, custom: nn.Module | None = None, started: float | None = None) -> Session:
    """The model with its starting weights (or `custom`), on its device; the number of threads.

    `started` is when the verb started, on time.monotonic()'s clock. Raises UsageError for a missing device, and for
    batches that are too small for batch norm.
    """
    task, settings, train_split = filled.task, filled.settings, filled.prepared.splits["train"]
    if settings.machine.allocator == "keep":
        keep_freed_memory()
    device = device_of(settings.machine.device)
    whole, taken = (custom, None) if custom is not None else started_model(task, settings)
    layers = layers_of(task, whole, train_split)
    _refuse_lone_examples(layers, settings, len(train_split))
    settings = fill(settings, {"machine.threads": _threads(layers, settings, len(train_split))})
    prepared = filled.prepared
    if settings.machine.threads == "adaptive":
        prepared = replace(prepared, notes=(*prepared.notes, ADAPTIVE))
    if taken is not None and goes_on(settings):
        about = [f"goes on from the run {taken.origin}, with its vocabulary"]
    else:
        about = [*notes_on_vectors(task, settings), *notes_on_start(settings, taken)]
    prepared = replace(prepared, notes=(*prepared.notes, *about))
    whole = placed(whole, device)
    prepared = replace(prepared, notes=(*prepared.notes, *notes_on_distance(task, whole, settings, train_split)))
    task, model = trained_part(task, whole, settings, prepared)
    started = time.monotonic() if started is None else started
    return Session(prepared, task, settings, filled.given, model, layers, device, started, whole, taken)


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on its device, filters of pictures with channels last; those of volumes have five axes and no such."""
    has_volumes = any(parameter.dim() == 5 for parameter in model.parameters())
    layout = torch.contiguous_format if has_volumes else torch.channels_last
    found: nn.Module = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    return found


def fresh_model(task: Task, settings: Settings) -> nn.Module:
    """The task's model with its starting weights: the same for the same settings."""
    return started_model(task, settings)[0]


def started_model(task: Task, settings: Settings) -> tuple[nn.Module, Taken | None]:
    """The task's model with its starting weights, the same for the same settings, and those it took from elsewhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(settings.seed, "model"))
        model = build(task, settings)
    start = torch.Generator().manual_seed(derive(settings.seed, "init"))
    initialise(model, settings.init.name or "he", start, scale=settings.init.scale)
    start_from_vectors(model, task, settings)
    return model, load_before(model, settings) if goes_on(settings) else start_from_elsewhere(model, settings)


def trained_part(task: Task, model: nn.Module, settings: Settings, prepared: Prepared) -> tuple[Task, nn.Module]:
    """What training changes, and the task as it sees it: what follows the frozen stages, on what they give.

    Random changes to pictures need the pictures: with them the whole network runs in every step. So does a composed
    net, which takes several maps of its backbone.
    """
    frozen = settings.transfer.freeze
    is_still = not strengths(settings.regularise) and task.augmentation is None
    if frozen in (None, "none", "auto", 0) or not is_still or not hasattr(model, "up_to"):
        return task, model
    count = sum(len(part) for name, part in prepared.splits.items() if name != "test")
    if not can_be_kept(task, model, frozen, prepared.splits["train"], count):
        return task, model
    return after_frozen(task, model, frozen)


def fresh_part(session: Session) -> nn.Module:
    """Another `session.model`, as it was before training."""
    task, _ = session.system(session.task)
    return trained_part(task, fresh_model(task, session.settings), session.settings, session.prepared)[1]


def layers_of(task: Task, model: nn.Module, train_split: Examples) -> list[LayerRow]:
    """The layer table, from one forward pass over the first examples."""
    few = encode_whole(task, train_split.take(np.arange(min(2, len(train_split)))))
    batch = task.batch(few, torch.arange(min(2, len(train_split))))
    return layer_table(model, lambda module: task.outputs(module, batch), batch_size=min(2, len(train_split)))


def _refuse_lone_examples(layers: list[LayerRow], settings: Settings, num_train: int) -> None:
    """Raise UsageError if batch norm would see one value per channel: it subtracts the mean, and nothing is left.

    Of pictures it also averages over positions, and one example at a time is enough until a layer has a single one.
    """
    normed = [row for row in layers if "BatchNorm" in row.kind and math.prod(row.output_shape[1:]) == 1]
    sizes = {"batch_size": settings.optimiser.batch_size or num_train, "micro_batch": settings.machine.micro_batch}
    key = next((key for key, size in sizes.items() if size == 1), "batch_size" if num_train == 1 else None)
    if normed and key is not None:
        raise UsageError(
            f"batch norm cannot be trained on one example at a time ({key}=1); {normed[0].name} is one such layer.",
            fix=f"{key}=2 or more." if num_train > 1 else "give more training examples.",
        )


def _threads(layers: list[LayerRow], settings: Settings, num_train: int) -> int:
    """By the size of a step and the cores there are."""
    multiply_adds = sum(row.multiply_adds or 0 for row in layers)
    batch = settings.optimiser.batch_size or num_train
    return threads_for(multiply_adds * min(batch, num_train), torch.get_num_threads())


def device_of(wanted: str) -> torch.device:
    """The device of a setting. Raises UsageError where there is none."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("machine.device=cuda, but torch sees no CUDA device.", fix="leave machine.device out.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def watched_threads(session: Session) -> Threads:
    """Torch's number now; it gives way to other programs only where the settings say so."""
    is_adaptive = session.settings.machine.threads == "adaptive" and session.device.type == "cpu"
    return Threads(torch.get_num_threads(), adaptive=is_adaptive)


@contextmanager
def own_threads_and_randomness(session: Session) -> Iterator[None]:
    """Inside, torch has the session's threads and its training seed; what was before comes back afterwards."""
    with using(session.settings.machine.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(session.settings.seed, "train"))
        yield
