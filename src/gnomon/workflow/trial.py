"""trial: train with some settings changed and measure it, in memory, without a run folder: for searches and probes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.settings import Settings, full_key, refuse_idle, with_values
from gnomon.core.task import Task
from gnomon.data.columns import Columns, take
from gnomon.training.evaluate import encode_whole
from gnomon.training.loop import Job, build_state, train
from gnomon.training.state import TrainingState, load_model
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.build import Session, build_model, own_threads_and_randomness, watched_threads
from gnomon.workflow.road.encode import Encoded, judged_splits, with_judged
from gnomon.workflow.road.facts import fit_facts
from gnomon.workflow.road.judge import epoch_judge, measured
from gnomon.workflow.road.open import settings_for
from gnomon.workflow.road.settings import fill_settings
from gnomon.workflow.road.split import TRAIN_RUNG, Prepared, refuse_folds
from gnomon.workflow.road.train import deadline_of
from gnomon.workflow.road.write import model_files
from gnomon.workflow.session import here_of

FIXED = ("data.", "split.", "task.name", "goal.", "runs_folder", "run_name")  # what trials of one set have in common


@dataclass(frozen=True)
class Trial:
    """A system that was trained and evaluated."""

    settings: Settings  # filled in
    task: Task  # calibrated
    model: nn.Module  # with the weights of its best epoch, in evaluation mode
    evaluations: Mapping[str, Evaluation]  # train (a sample of it), train_dev if there is one, dev
    history: list[Mapping[str, Any]]  # a row per epoch
    steps: int
    seconds: float  # of training
    examples_seen: int
    multiply_adds: int  # for one example, forward
    ended_because: str  # "epochs", "patience", "max_time", or "stopped"

    @property
    def cost(self) -> float:
        """Multiply-adds of the training, backward pass included: what "equal compute" is counted in."""
        return 3.0 * self.multiply_adds * self.examples_seen


class Trials:
    """Many trials on one set: read, split and encoded once. A trial gives what `fit` gives with its settings.

    `opened` are the settings that the trials start from, with unset ones left unset: they are filled in for each trial
    as `fit` would fill them in.
    """

    def __init__(self, prepared: Prepared, opened: Settings, *, given: frozenset[str] = frozenset()) -> None:
        refuse_folds(prepared)
        self.prepared, self.opened, self.given = prepared, opened, given
        self.fitted = fit_facts(prepared, opened)
        self.task = self.fitted.task
        self.base = self.session({})

    @cached_property
    def columns(self) -> Columns:
        """Train, encoded."""
        return encode_whole(self.task, self.prepared.splits["train"], Path(gettempdir()))

    @cached_property
    def judged_columns(self) -> dict[str, Columns]:
        """The evaluated splits but train, encoded."""
        judged = judged_splits(self.base, TRAIN_RUNG)
        return {
            name: encode_whole(self.task, part, Path(gettempdir())) for name, part in judged.items() if name != "train"
        }

    def _encoded(self, session: Session, rows: np.ndarray | None) -> Encoded:
        """What a trial trains on and is judged by; vectors of a frozen backbone are kept with the backbone."""
        if session.task.encoder is not self.task.encoder:
            return with_judged(session, encode_whole(session.task, session.prepared.splits["train"]))
        columns = self.columns if rows is None else take(self.columns, rows)
        return with_judged(session, columns, self.judged_columns)

    def run(
        self,
        changes: Mapping[str, Any] | None = None,
        *,
        rows: np.ndarray | None = None,
        deadline: float = math.inf,
        keep_going: Callable[[Mapping[str, Any]], bool] | None = None,
        stop_asked: Callable[[], bool] | None = None,
    ) -> Trial:
        """Train with `changes` (settings by full or short name), on the training examples at `rows` (default: all).

        `deadline` on time.monotonic()'s clock; `keep_going` gets every epoch's row and ends the trial by returning
        False, as `stop_asked` does at any step. Raises UsageError for a setting that trials share, DivergedError.
        """
        session = self.session(changes or {}, rows)
        with own_threads_and_randomness(session):
            encoded = self._encoded(session, rows)
        watcher = _Watcher(keep_going or (lambda _row: True))
        job = Job(
            task=session.task,
            settings=session.settings,
            columns=encoded.columns,
            device=session.device,
            id_of=lambda position: str(session.prepared.splits["train"].index["id"][position]),
            judge=epoch_judge(encoded),
            watcher=watcher,
            record=watcher.history.append,
            save=lambda _state: None,
            stop_asked=lambda: watcher.is_over or (stop_asked is not None and stop_asked()),
            deadline=deadline,
            threads=watched_threads(session),
        )
        with own_threads_and_randomness(session):
            began = time.monotonic()
            state = build_state(job, session.model)
            train(job, state)
            return self._measure(session, state, watcher.history, time.monotonic() - began)

    def session(self, changes: Mapping[str, Any], rows: np.ndarray | None = None) -> Session:
        """What a trial with `changes` (on the training examples at `rows`) starts from.

        Raises UsageError for a setting that trials share.
        """
        changed = {full_key(key): value for key, value in changes.items()}
        for key in changed:
            if key.startswith(FIXED):
                raise UsageError(f"{key} cannot differ between trials.", fix="set it for all of them.")
        opened = with_values(self.opened, changed)
        # public weights want pictures of their own size, and settings of the task are facts of its head: other facts
        is_refitted = any(key == "transfer.pretrained" or key.startswith("task.") for key in changed)
        fitted = fit_facts(self.prepared, opened) if is_refitted else self.fitted
        prepared = fitted.prepared
        if rows is not None:
            some = {**prepared.splits, "train": prepared.splits["train"].take(rows)}
            fitted = replace(fitted, prepared=replace(prepared, splits=some))
        return build_model(fill_settings(fitted, opened, self.given | changed.keys()))

    def _measure(
        self, session: Session, state: TrainingState, history: list[Mapping[str, Any]], seconds: float
    ) -> Trial:
        if state.best:
            load_model(session.model, state.best)
        examples = judged_splits(session, TRAIN_RUNG)
        columns = self.judged_columns if session.task.encoder is self.task.encoder else {}
        task, evaluations = measured(session, session.model, examples, columns)
        task, model = session.system(task)
        counters, batch = state.counters, session.settings.optimiser.batch_size
        total = len(session.prepared.splits["train"])
        return Trial(
            settings=session.settings,
            task=task,
            model=model.eval(),
            evaluations=evaluations,
            history=history,
            steps=counters.step,
            seconds=seconds,
            examples_seen=counters.epoch * total + min(counters.batch * (batch or total), total),
            multiply_adds=sum(row.multiply_adds or 0 for row in session.layers),
            ended_because=counters.ended_because or "stopped",
        )


class _Watcher:
    """Listens to every epoch, and may end the trial."""

    def __init__(self, keep_going: Callable[[Mapping[str, Any]], bool]) -> None:
        self.keep_going = keep_going
        self.history: list[Mapping[str, Any]] = []
        self.is_over = False

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        pass

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        self.is_over = self.is_over or not self.keep_going(row)


def train_in_memory(source: Any, values: Mapping[str, Any]) -> tuple[dict[str, bytes], int]:
    """The system that `gnomon.fit` would train with these settings, as the files of `System`, and its epochs.

    Nothing is written. Raises UsageError, DataError, DivergedError.
    """
    started = time.monotonic()
    settings, given = settings_for(values)
    trials = Trials(prepare(source, settings), settings, given=given)
    refuse_idle(given, here_of(trials.base), trials.task.kind.title)
    trial = trials.run(deadline=deadline_of(settings, started))
    return model_files(trial.task, trial.model, trial.settings), len(trial.history)
