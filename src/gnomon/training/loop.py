"""The training loop: one for every task, model and device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.errors import DivergedError, is_out_of_memory
from gnomon.core.evaluation import Evaluation
from gnomon.core.parts import Batch
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.data.columns import Columns, length
from gnomon.nn.groups import set_training
from gnomon.training.dense_steps import DenseSteps
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser
from gnomon.training.precision import in_precision
from gnomon.training.samplers import Epoch, Sampler, batch_end, batches_per_epoch, every_example
from gnomon.training.schedules import learning_rate_at
from gnomon.training.state import Counters, TrainingState, own_tensors
from gnomon.training.threads import Threads

HARMLESS_RATE = 1e-3  # a learning rate with which hardly anything diverges
SECONDS_BETWEEN_REPORTS = 0.1  # how often a watcher hears about steps


@dataclass(frozen=True)
class Judged:
    """The result of one evaluation, for the epoch's row."""

    train_error: float
    dev_error: float  # the best epoch is chosen by it
    row: Mapping[str, Any]  # more columns of the row: intervals, train_dev_error


class Watcher(Protocol):
    """Whatever follows a run: a terminal, a test, a page."""

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        """Called at most ten times a second."""

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        """One row of the history."""


def _unchanged(_step: int) -> None:
    """No setting changes."""


def _nothing() -> None:
    """No rehearsal."""


@dataclass(frozen=True)
class Job:
    """What is trained, on what, and who is notified. `id_of` gives the id of the example at a position of train."""

    task: Task
    settings: Settings  # filled in
    columns: Columns  # train, encoded
    device: torch.device
    id_of: Callable[[int], str]
    judge: Callable[[nn.Module], Judged | None]  # None: a stop was requested before it was done
    watcher: Watcher
    record: Callable[[Mapping[str, Any]], None]  # keeps a row of the history
    save: Callable[[TrainingState], None]  # commits a checkpoint
    stop_asked: Callable[[], bool]  # a signal has arrived
    deadline: float = math.inf  # on time.monotonic()'s clock: the first step to pass it is the last
    threads: Threads = field(default_factory=lambda: Threads(torch.get_num_threads()))
    turned: Callable[[int], Settings | None] = _unchanged  # settings valid from this step on, if they changed
    rehearse: Callable[[], None] = _nothing  # tries the evaluation once, after the very first step
    look: Callable[[TrainingState, float], list[dict[str, Any]] | None] | None = (
        None  # signals, at the last step's rate
    )


def build_state(job: Job, model: nn.Module) -> TrainingState:
    """The state before the first step. The model is already on the device."""
    settings = job.settings
    parameters = FlatParameters(model)
    optimiser = Optimiser(parameters, settings.optimiser, settings.regularise, length(job.columns))
    augmentation = torch.Generator(device=job.device).manual_seed(derive(settings.seed, "augment"))
    average = parameters.copies() if settings.regularise.ema else []
    is_exact = settings.machine.precision == "float32"
    by_hand = DenseSteps.of(model, job.device) if job.task.gives_gradient and is_exact else None
    return TrainingState(model, parameters, optimiser, augmentation, average, by_hand=by_hand)


def train(job: Job, state: TrainingState) -> None:
    """Train from `state` to the end of the last epoch, a stop, or the deadline.

    `state.best` has the weights to keep. Raises DivergedError on a loss that is not finite, without applying that
    step. When a stop is requested, the state is saved and the loop returns with `counters.finished` False; if it comes
    during the evaluation of an epoch, the state stays as it was before, and a resumed run does the evaluation.
    """
    counters = state.counters
    epochs, save_every = job.settings.stop.epochs or 1, job.settings.machine.save_every
    job = _turned(job, state, counters.step - 1)
    last_save = last_report = time.monotonic()
    while counters.epoch < epochs and not counters.finished:
        epoch = state.plan = _plan(job, counters)
        total = len(epoch.order)
        set_training(state.model)
        while counters.seen < total:
            job = _turned(job, state, counters.step)
            batch_size = job.settings.optimiser.batch_size or total
            indices = epoch.order[counters.seen : epoch.end_after(counters.seen, batch_size)]
            loss = step(job, state, indices, _rate(job, state))
            if counters.step == 1:  # not before it: the imports of the evaluation would only delay the start
                job.rehearse()
            now = time.monotonic()
            if now - last_report >= SECONDS_BETWEEN_REPORTS:
                job.watcher.on_step(counters.epoch, *_place(job, state), loss)
                last_report = now
            if now >= job.deadline:
                counters.finished, counters.ended_because = True, "max_time"
                break
            if counters.seen == total:  # saved below, after the epoch's row: no row is written twice
                break
            if job.stop_asked():
                job.save(state)
                return
            if now - last_save >= save_every:
                job.save(state)
                last_save = time.monotonic()
        if not _end_epoch(job, state):
            counters.finished = False  # its row is still missing
            job.save(state)
            return
        if not counters.finished and time.monotonic() >= job.deadline:
            counters.finished, counters.ended_because = True, "max_time"
        if job.stop_asked() and not counters.finished:
            job.save(state)
            return
        if time.monotonic() - last_save >= save_every:
            job.save(state)
            last_save = time.monotonic()
    if not counters.finished:
        counters.finished, counters.ended_because = True, "epochs"


def _plan(job: Job, counters: Counters) -> Epoch:
    """The order of the epoch at `counters`, the same however often it is computed; with epochs=0 nobody's turn."""
    if job.settings.stop.epochs == 0:
        return Epoch(torch.empty(0, dtype=torch.int64))
    if not counters.seen:  # a batch size changed in the middle of an epoch does not change the order
        counters.planned_size = job.settings.optimiser.batch_size or length(job.columns)
    sampler: Sampler = job.task.kind.sampler or every_example
    return sampler(job.columns, job.settings.seed, counters.epoch, counters.planned_size)


def _turned(job: Job, state: TrainingState, step: int) -> Job:
    """The job with the settings valid at this step."""
    settings = job.turned(step)
    if settings is None:
        return job
    state.optimiser.weight_decay = settings.regularise.weight_decay or 0.0
    return replace(job, settings=settings)


def mean_loss(losses: Tensor, batch: Batch) -> Tensor:
    """The scalar that is differentiated: losses averaged over the scored units of all examples."""
    weight = batch.get("weight")
    if weight is None:
        return losses.mean()
    return (losses * weight).sum() / weight.sum().clamp_min(1e-12)


def _place(job: Job, state: TrainingState) -> tuple[int, int]:
    """How far the epoch is, in batches of the current size, and how many of those it has."""
    total = length(job.columns) if state.plan is None else len(state.plan.order)
    batch_size = job.settings.optimiser.batch_size or total
    num_batches = batches_per_epoch(total, batch_size)
    return min(-(-state.counters.seen // batch_size), num_batches), num_batches


def _rate(job: Job, state: TrainingState, *, steps_ago: int = 0) -> float:
    """The rate of the next step, or of one before it. Counted in steps of the current batch size."""
    settings = job.settings
    place, num_batches = _place(job, state)
    return learning_rate_at(
        max(0, state.counters.epoch * num_batches + place - steps_ago),
        highest=settings.optimiser.learning_rate or 0.0,
        settings=settings.schedule,
        steps_per_epoch=num_batches,
        epochs=settings.stop.epochs or 1,
    )


def step(job: Job, state: TrainingState, indices: Tensor, learning_rate: float) -> float:
    """One optimizer update on the examples at `indices`; the loss of that batch. Raises DivergedError, not applied."""
    started = job.threads.start_step()
    settings, counters, task = job.settings, state.counters, job.task
    batch = task.collate(job.columns, indices)
    if job.device.type != "cpu":
        batch = {name: tensor.to(job.device, non_blocking=True) for name, tensor in batch.items()}
    batch = task.augment(batch, settings.regularise, state.augmentation)
    losses, loss = _gradients(job, state, batch)
    value = float(loss)  # on a CPU this waits for nothing
    if not math.isfinite(value):
        raise _diverged(job, state, batch, losses, indices)
    state.optimiser.step(learning_rate)
    if state.average:
        _move_average(state, settings.regularise.ema)
    counters.step += 1
    counters.batch += 1
    counters.seen += len(indices)
    units = float(batch["weight"].sum()) if "weight" in batch else float(len(indices))
    counters.epoch_loss += value * units
    counters.epoch_units += units
    took = job.threads.end_step(started)
    counters.seconds += took
    counters.epoch_seconds += took
    return value


def _gradients(job: Job, state: TrainingState, batch: Batch) -> tuple[Tensor, Tensor]:
    """The gradients of the batch's loss, in the buffers; its losses (B,) and their mean, detached.

    A batch that does not fit into memory is halved until it does; the parts' gradients add up to the same. The size
    found is kept for the rest of the run.
    """
    while True:
        size = len(next(iter(batch.values())))
        most = min(state.counters.micro_batch or job.settings.machine.micro_batch or size, size)
        try:
            if most == size:
                return _add_gradients(job, state, batch, None)
            found = [_add_gradients(job, state, part, batch) for part in _parts(batch, size, most)]
            return torch.cat([losses for losses, _ in found]), torch.stack([loss for _, loss in found]).sum()
        except (MemoryError, RuntimeError) as fault:
            if not is_out_of_memory(fault) or most == 1:
                raise
        state.parameters.zero_gradients()
        state.counters.micro_batch = -(-most // 2)


def _parts(batch: Batch, size: int, most: int) -> Iterator[Batch]:
    """The batch in parts of `most` examples; a last part with one example joins the part before it."""
    start = 0
    while start < size:
        end = batch_end(start, size, most) if most > 1 else start + 1
        yield {name: tensor[start:end] for name, tensor in batch.items()}
        start = end


def _add_gradients(job: Job, state: TrainingState, batch: Batch, whole: Batch | None) -> tuple[Tensor, Tensor]:
    """The gradients of the batch's loss added to the buffers; the losses (B,) and the loss, detached.

    The loss is the mean over the batch or, for a part of a `whole` batch, this part's share of the mean over all.
    """
    task = job.task
    if state.by_hand is None:
        outputs = in_precision(job.settings.machine.precision, job.device, lambda: task.outputs(state.model, batch))
        losses = task.losses(outputs, batch)
        loss = mean_loss(losses, batch) if whole is None else (losses * _shares(batch, whole)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return losses.detach(), loss.detach()
    by_hand: Any = state.by_hand  # called like the model
    with torch.no_grad():
        losses, gradient = task.losses_and_gradient(task.outputs(by_hand, batch), batch)
        shares = _shares(batch, whole or batch)
        by_hand.backward(gradient.mul_(shares[:, None] if isinstance(shares, Tensor) else shares))
        return losses, mean_loss(losses, batch) if whole is None else (losses * shares).sum()


def _shares(batch: Batch, whole: Batch) -> Tensor | float:
    """The weight of each example of `batch` in the mean over the whole batch: (B,), or one number for all."""
    if "weight" not in whole:
        return 1 / len(next(iter(whole.values())))
    return batch["weight"] / whole["weight"].sum().clamp_min(1e-12)


def _move_average(state: TrainingState, decay: float) -> None:
    """v_t / (1 - beta^t) without a second buffer: the newest weights get the weight (1 - beta) / (1 - beta^t)."""
    share = (1 - decay) / (1 - decay ** (state.counters.step + 1))
    with torch.no_grad():
        for average, buffer in zip(state.average, state.parameters.buffers, strict=True):
            average.lerp_(buffer, share)


def _end_epoch(job: Job, state: TrainingState) -> bool:
    """Evaluate, write the row, keep the best weights, go to the next epoch (after a whole one).

    False, with nothing done, if the evaluation was interrupted by a stop.
    """
    counters, settings = state.counters, job.settings
    live = state.parameters.copies() if state.average else []
    if state.average:
        state.parameters.load(state.average)
    judged = job.judge(state.model)
    if judged is None:
        if live:
            state.parameters.load(live)
        return False
    counters.looks += 1
    is_best = judged.dev_error <= counters.best_error or not state.best
    if is_best:
        counters.best_error, counters.best_epoch, counters.waited = judged.dev_error, counters.epoch, 0
        state.best = {name: tensor.detach().clone() for name, tensor in own_tensors(state.model).items()}
    else:
        counters.waited += 1
    if live:
        state.parameters.load(live)
    rate = _rate(job, state, steps_ago=1)
    signals = job.look(state, rate) if job.look is not None else None
    row = {
        "epoch": counters.epoch + 1,
        "step": counters.step,
        "train_loss": counters.epoch_loss / max(counters.epoch_units, 1e-12),
        "train_error": judged.train_error,
        "dev_error": judged.dev_error,
        **judged.row,
        "learning_rate": rate,
        "seconds": counters.seconds,
        "examples_per_second": counters.seen / max(counters.epoch_seconds, 1e-9),
        "best": is_best,
        **({"signals": signals} if signals else {}),
        **({"micro_batch": counters.micro_batch} if counters.micro_batch else {}),
    }
    job.record(row)
    job.watcher.on_epoch(row)
    if state.plan is None or counters.seen == len(state.plan.order):
        counters.epoch, counters.batch, counters.seen = counters.epoch + 1, 0, 0
        counters.epoch_loss, counters.epoch_units, counters.epoch_seconds = 0.0, 0.0, 0.0
    if settings.stop.patience and counters.waited >= settings.stop.patience:
        counters.finished, counters.ended_because = True, "patience"
    return True


def _diverged(job: Job, state: TrainingState, batch: Batch, losses: Tensor, indices: Tensor) -> DivergedError:
    """An error that names the step, the first layer whose output is not finite, and the examples."""
    wrong = (~torch.isfinite(losses)).nonzero().flatten().tolist()
    examples = ", ".join(job.id_of(int(indices[i])) for i in wrong[:3]) or "no single one"
    examples += f" and {len(wrong) - 3:,} more" if len(wrong) > 3 else ""
    is_all = len(wrong) == len(indices)
    layer = first_bad_layer(state.model, lambda: job.task.outputs(state.model, batch))
    step, rate = state.counters.step, job.settings.optimiser.learning_rate or 0.0
    return DivergedError(
        f"the loss is not finite at step {step + 1} (epoch {state.counters.epoch + 1}); "
        f"first in {f'layer {layer}' if layer else 'the loss itself'}; examples: {examples}"
        f"{' (all of the batch)' if is_all else ''}. The step was not applied.",
        fix=f"start again with learning_rate={min(rate / 10, HARMLESS_RATE):g} (it was {rate:g})"
        + ("." if is_all else ", or check those examples."),
    )


def first_bad_layer(model: nn.Module, run: Callable[[], Any]) -> str | None:
    """The name of the first layer whose parameters or output have a non-finite number; None if there is none."""
    found: list[str] = []

    def look(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and not torch.isfinite(output).all():
                found.append(name)

        return hook

    handles = [
        module.register_forward_hook(look(name))
        for name, module in model.named_modules()
        if name and not any(True for _ in module.children())
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def split_error(evaluation: Evaluation) -> float:
    """The split's error as one number, without its interval."""
    if evaluation.split_error is not None:
        return float(evaluation.split_error(np.ones(len(evaluation.table))))
    weight = evaluation.table["weight"].to_numpy()
    return float((evaluation.table["error"].to_numpy() * weight).sum() / max(weight.sum(), 1e-12))
