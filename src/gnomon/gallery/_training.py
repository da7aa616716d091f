"""Plain trainings on bundled data sets: everything that improves training is off unless a claim turns it on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from gnomon.core import found
from gnomon.core.errors import DivergedError
from gnomon.core.settings import from_flat
from gnomon.core.task import Task
from gnomon.data.columns import Columns, length, take
from gnomon.training.evaluate import judging
from gnomon.training.loop import Job, Judged, build_state, train
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import own_threads_and_randomness, watched_threads
from gnomon.workflow.trial import Trials

PLAIN: Mapping[str, Any] = {
    "model": "dense",
    "activation": "relu",
    "normalisation": "none",
    "init": "he",
    "weight_decay": 0.0,
    "dropout": (),
    "optimiser": "sgd",
    "batch_size": 64,
    "schedule": "constant",
    "machine.threads": 1,
}


def plain_trials(data: str, seed: int, **settings: Any) -> Trials:
    """A bundled data set, split with `seed`, with PLAIN settings and these."""
    pictures = {"augment": "none"} if data == "digits" else {}
    plain = {**PLAIN, **pictures, "seed": seed, **settings}
    declared = found.family(plain["model"]).settings.model_fields
    plain = {
        key: value for key, value in plain.items() if key not in ("activation", "normalisation") or key in declared
    }
    opened = from_flat(plain)
    return Trials(prepare(data, opened), opened)


@dataclass(frozen=True)
class Course:
    """One training, measured before its first step and after each of E epochs, in evaluation mode.

    A training that diverges counts as untrained from then on.
    """

    train_losses: np.ndarray  # (E + 1,) mean over all training examples: the cost, without penalties
    dev_losses: np.ndarray  # (E + 1, N) for each dev example
    train_errors: np.ndarray  # (E + 1,)
    dev_errors: np.ndarray  # (E + 1, N)
    seconds: np.ndarray  # (E + 1,) processor time of the steps alone: other programs do not count
    has_diverged: bool
    model: nn.Module  # with its last weights

    @property
    def cost(self) -> float:
        """The cost at the end."""
        return float(self.train_losses[-1])


def course(trials: Trials, changes: Mapping[str, Any], *, rows: np.ndarray | None = None) -> Course:
    """Train with `changes` on the training examples at `rows` (default: all): the loop of `fit`, with measurements."""
    session = trials.session(changes)
    columns = trials.columns if rows is None else take(trials.columns, rows)
    looks = [_look(session.task, session.model, columns, trials.judged_columns["dev"])]
    seconds, resumed = [0.0], time.process_time()

    def judge(model: nn.Module) -> Judged:
        nonlocal resumed
        seconds.append(seconds[-1] + time.process_time() - resumed)
        looks.append(_look(session.task, model, columns, trials.judged_columns["dev"]))
        resumed = time.process_time()
        return Judged(float(looks[-1][1].mean()), float(looks[-1][3].mean()), {})

    job = Job(
        task=session.task, settings=session.settings, columns=columns, device=session.device, id_of=str, judge=judge,
        watcher=_NoWatcher(), record=lambda _row: None, save=lambda _state: None, stop_asked=lambda: False,
        threads=watched_threads(session),
    )  # fmt: skip
    has_diverged = False
    with own_threads_and_randomness(session):
        state, resumed = build_state(job, session.model), time.process_time()
        try:
            train(job, state)
        except DivergedError:
            has_diverged = True
    epochs = session.settings.stop.epochs or 0
    looks += [looks[0]] * (epochs + 1 - len(looks))
    seconds += [seconds[-1]] * (epochs + 1 - len(seconds))
    train_losses, train_errors, dev_losses, dev_errors = zip(*looks, strict=True)
    return Course(
        np.array([losses.mean() for losses in train_losses]), np.array(dev_losses),
        np.array([errors.mean() for errors in train_errors]), np.array(dev_errors),
        np.array(seconds), has_diverged, session.model,
    )  # fmt: skip


def _look(task: Task, model: nn.Module, train_split: Columns, dev: Columns) -> tuple[np.ndarray, ...]:
    return (*_losses_and_errors(task, model, train_split), *_losses_and_errors(task, model, dev))


def _losses_and_errors(task: Task, model: nn.Module, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    with judging(model):
        batch = task.batch(columns, torch.arange(length(columns)))
        outputs = task.outputs(model, batch)
        losses = np.nan_to_num(task.losses(outputs, batch).double().numpy(), nan=1e9, posinf=1e9)
        return losses, task.judge.errors(task.judge.predict(model, outputs, batch).values, batch)


class _NoWatcher:
    """Listens to a training and prints nothing."""

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        pass

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        pass
