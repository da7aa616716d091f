"""Train: the loop over the encoded examples, with its checkpoints and everything that watches it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gnomon.checks.signals import layer_signals
from gnomon.core.errors import DivergedError
from gnomon.core.layer_signals import as_rows
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings
from gnomon.data.columns import Columns, length
from gnomon.runs.checkpoints import FOLDER as CHECKPOINTS
from gnomon.runs.folder import RunFolder
from gnomon.runs.writer import free_bytes
from gnomon.training.evaluate import bytes_of
from gnomon.training.loop import Job, Judged, build_state, mean_loss, train
from gnomon.training.samplers import batches_per_epoch
from gnomon.training.state import TrainingState, load_model
from gnomon.workflow.nudge import Nudges
from gnomon.workflow.road.build import Session, watched_threads
from gnomon.workflow.road.encode import Encoded, judged_splits
from gnomon.workflow.road.follow import Follower, Ready
from gnomon.workflow.road.judge import epoch_judge, measured, rehearse
from gnomon.workflow.road.write import model_files
from gnomon.workflow.signals import StopFlag, Stopped

SIGNAL_EXAMPLES = 128  # of the fixed batch that signals are measured on, at most
SIGNAL_BYTES = 4 << 20  # of its inputs, at most, unless a training batch has more: what gradients need grows with them
STEPS_BETWEEN_LOOKS = (100, 400)  # between signal measurements: at least, and at most
LOOKS = 10  # measurements in a training between the two


def train_model(
    encoded: Encoded, folder: RunFolder, follower: Follower, flag: StopFlag, *, resumed: bool = False,
    go_on: bool = False,
) -> TrainingState:  # fmt: skip
    """The loop, from the start or the run's newest checkpoint, to its end; with `go_on` also where that was the end.

    Raises Stopped after a signal, once its state is saved, and DivergedError.
    """
    session = encoded.session
    settings, task = session.settings, session.task
    train_ids = session.prepared.splits["train"].index["id"]
    job = Job(
        task=task,
        settings=settings,
        columns=encoded.columns,
        device=session.device,
        id_of=lambda position: str(train_ids[position]),
        judge=_unless_stopped(epoch_judge(encoded), flag),
        watcher=follower,
        record=folder.history.append,
        save=lambda state: folder.save_checkpoint(state.counters.step, state.files()),
        stop_asked=flag.asked,
        deadline=deadline_of(settings, session.started),
        threads=watched_threads(session),
        turned=Nudges(folder, settings, follower.on_nudge),
        rehearse=lambda: rehearse(encoded),
        look=signals_look(session, encoded.columns),
    )
    state = build_state(job, session.model)
    checkpoint = folder.latest_checkpoint() if resumed else None
    if checkpoint is not None:
        state.load(checkpoint.files, f"{folder.path / CHECKPOINTS}/{checkpoint.step:08d}")
    if go_on:
        state.counters.finished, state.counters.ended_because = False, ""
    folder.history.keep_first(state.counters.looks)  # one row per epoch
    notes = (*(checkpoint.notes if checkpoint else ()), *encoded.notes, *_little_room(folder, state))
    prepared = replace(session.prepared, notes=(*notes, *session.prepared.notes))
    step = None if checkpoint is None else checkpoint.step
    follower.on_ready(
        Ready(prepared, task, settings, session.given, session.layers, str(session.device), folder.path, step)
    )
    if state.counters.finished:
        return state
    flag.patient = True
    try:
        train(job, state)
    except DivergedError as fault:
        raise _with_best_kept(fault, folder, session, state) from None
    if not state.counters.finished:
        flag.what = f"stopped at step {state.counters.step}; its state is saved."
        raise Stopped
    folder.save_checkpoint(state.counters.step, state.files())
    return state


def _with_best_kept(fault: DivergedError, folder: RunFolder, session: Session, state: TrainingState) -> DivergedError:
    """The error, after the weights of the best epoch so far, if any, were saved as the run's model."""
    if not state.best:
        return fault
    load_model(session.model, state.best)
    task, _ = measured(session, session.model, {"dev": judged_splits(session, 1)["dev"]})
    folder.save_model(model_files(*session.system(task), session.settings))
    kept = (
        f"The weights of epoch {state.counters.best_epoch + 1}, the best so far, are kept: gnomon predict can use them."
    )
    return DivergedError(f"{fault.what} {kept}", where=str(folder.path), fix=fault.fix)


def _little_room(folder: RunFolder, state: TrainingState) -> tuple[str, ...]:
    """A warning if the disk has no room for the two checkpoints that are kept and the one being written."""
    copies = 5 if state.average else 4  # current and best weights, two moments, the moving average
    needed = 3 * copies * sum(buffer.nbytes for buffer in state.parameters.buffers)
    free = free_bytes(folder.path)
    return (f"the disk has {free:,} bytes free; three checkpoints need about {needed:,}",) if free < needed else ()


def _unless_stopped(judge: Callable[[nn.Module], Judged], flag: StopFlag) -> Callable[[nn.Module], Judged | None]:
    """`judge`, which stops and returns None after a signal: a large dev set takes longer than people wait."""

    def judge_or_stop(model: nn.Module) -> Judged | None:
        try:
            with flag.at_once():
                return judge(model)
        except Stopped:
            return None

    return judge_or_stop


def deadline_of(settings: Settings, started: float) -> float:
    """When the last step must be done to keep to stop.max_time: a fifth of it, at most 20 s, is for evaluation."""
    limit = settings.stop.max_time
    if limit is None:
        return math.inf
    return started + limit - min(20.0, 0.2 * limit)


def signals_look(session: Session, columns: Columns) -> Callable[[TrainingState, float], list[dict[str, Any]] | None]:
    """What the loop asks at the end of an epoch: the signals of every layer on a fixed batch of train, if due.

    Due at the first and the last epoch, and at the end of every epoch in which another tenth of all steps was made,
    at least 100 and at most 400: a measurement costs about two or three steps, and so at most a hundredth of the
    training, of a short one a fortieth.
    """
    total, seed = length(columns), derive(session.settings.seed, "signals")
    fits = SIGNAL_BYTES // max(1, bytes_of(columns) // max(1, total))
    count = min(SIGNAL_EXAMPLES, max(fits, session.settings.optimiser.batch_size or total))
    rows = torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:count].sort().values
    epochs = session.settings.stop.epochs or 1
    fewest, most = STEPS_BETWEEN_LOOKS
    steps = epochs * batches_per_epoch(total, session.settings.optimiser.batch_size or total)
    between = min(most, max(fewest, steps // LOOKS))

    def loss(model: nn.Module) -> torch.Tensor:
        batch = session.task.batch(columns, rows, session.device)
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
