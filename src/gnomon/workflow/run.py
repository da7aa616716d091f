"""A finished (or stopped) run: its settings, model, predictions and diagnosis, read when asked for."""

from __future__ import annotations

import shlex
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.own import NO_OWN, Loss, Own
from gnomon.core.settings import Settings
from gnomon.core.task import Task, TaskKind
from gnomon.runs.folder import MODEL, Place, RunFolder, find
from gnomon.runs.records import HistoryRow
from gnomon.strategy.diagnosis import Diagnosis
from gnomon.workflow.system import System

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from torch import nn

    from gnomon.workflow.predict import Answers


@final
class Run:
    """One execution and its folder. Files are read, and checked against the manifest, when first used."""

    def __init__(self, folder: RunFolder, task: TaskKind | None = None, own: Own = NO_OWN) -> None:
        self.folder = folder
        self._task_class, self._own = task, own

    @staticmethod
    def open(
        path: Place, *, task: TaskKind | None = None, model: nn.Module | None = None, loss: Loss | None = None
    ) -> Run:
        """The run in that folder. `task`, `model` and `loss` are only needed where they are your own."""
        return Run(RunFolder.open(path), task, Own(module=model, loss=loss))

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        from gnomon.workflow.notebook import run_html

        return run_html(self)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def report(self) -> Path:
        """The self-contained page."""
        return self.path / "report.html"

    @cached_property
    def settings(self) -> Settings:
        """All settings, filled in."""
        return self.folder.load_settings()[0]

    @property
    def history(self) -> list[HistoryRow]:
        """One row per epoch."""
        return self.folder.history.read()

    @cached_property
    def _model_files(self) -> dict[str, bytes]:
        if not self.folder.has_model:
            raise UsageError(
                "this run has no model yet: it was stopped, or it diverged.",
                where=str(self.path),
                fix=f"let it finish (gnomon fit --resume {shlex.quote(str(self.path))}), or use another run.",
            )
        return dict(self.folder.load_model())

    @cached_property
    def _system(self) -> System:
        where = str(self.path / MODEL)
        return System(self._model_files, where, kind=self._task_class, own=self._own, settings=self.settings)

    @property
    def task(self) -> Task:
        """The task with the facts fitted on the training split."""
        return self._system.task

    @property
    def model(self) -> nn.Module:
        """The trained network: a plain torch module, in evaluation mode, on the CPU unless you passed it in."""
        return self._system.model

    @property
    def diagnosis(self) -> Diagnosis:
        """The ladder, the verdict, the advice."""
        return self.folder.load_diagnosis()

    def evaluation(self, split: str) -> Evaluation:
        """The predictions of one split: "train", "train_dev", "dev", or "test" once it has been opened.

        Raises UsageError for a split that does not exist, and for test while it is sealed.
        """
        if split == "test" and self.has_test and split not in self.folder.saved_predictions():
            fix = f"gnomon test {self.path} opens it, which is counted."
            raise UsageError("its test split is sealed.", where=str(self.path), fix=fix)
        table = self.folder.load_predictions(split)
        return Evaluation(split, self.task.judge.error_unit, table, self.task.judge.split_error(table))

    @property
    def has_test(self) -> bool:
        """Whether there is a test split, opened or not."""
        return "test" in self.folder.load_data()["splits"]

    def evaluations(self) -> dict[str, Evaluation]:
        """Every split that has been evaluated, in the order of the ladder."""
        return {split: self.evaluation(split) for split in self.folder.saved_predictions()}

    def answers(self, source: Any) -> Answers:
        """Predictions for new inputs, with what was noted on the way and the inputs that could not be read."""
        from gnomon.workflow.predict import answer

        return answer(self.task, self.model, source, self.settings)

    def predict(self, source: Any) -> pl.DataFrame:
        """Predictions for new inputs: one row per example, with id, prediction, confidence and what the task adds.

        Warns (UserWarning) where the inputs are such that the answers are worth little; `answers` has all notes.
        """
        found = self.answers(source)
        for alarm in found.alarms:
            warnings.warn(alarm, stacklevel=2)
        return found.table

    def predict_proba(self, source: Any) -> np.ndarray:
        """(N, K) float64: the probability of each class, in the order of `classes`. Raises UsageError for numbers."""
        from gnomon.workflow.predict import class_probabilities

        return class_probabilities(self.task, self.model, source, self.settings)

    @property
    def classes(self) -> list[Any]:
        """The classes, of the type they were given as. Raises UsageError where an example has no single class."""
        from gnomon.workflow.predict import classes_of

        return classes_of(self.task)

    def test(self, source: Any = None) -> Evaluation:
        """Open the test split, which is counted, and measure it. `source` is needed for data that was in memory."""
        from gnomon.workflow.test import test

        return test(self, source)


def load(run: Place, *, task: TaskKind | None = None, model: nn.Module | None = None, loss: Loss | None = None) -> Run:
    """Reopen a run: its folder, or "latest" for the newest one in ./runs. Raises UsageError, ArtefactError.

    `task` and `model` are needed only if they are your own, and so is `loss`, to evaluate (not to predict). A run that
    is open already comes back as it is. What a craft made is refused: gnomon.show reopens it.
    """
    if isinstance(run, Run) and task is None and model is None and loss is None:
        return run
    folder = find(run, "runs")
    folder.require_ladder()
    return Run(folder, task, Own(module=model, loss=loss))


def predict(run: Place, source: Any, *, out: str | Path | None = None) -> Answers:
    """Predict new inputs with a run's model; `out` (.csv or .parquet) is a new file for the table of answers.

    `source`: what `gnomon.fit` takes, without targets. Raises UsageError, DataError, ArtefactError.
    """
    from gnomon.workflow.predict import checked_out, write_answers

    place = None if out is None else checked_out(out)
    answers = load(run).answers(source)
    if place is not None:
        write_answers(answers, place)
    return answers


def test(run: Place, source: Any = None) -> Evaluation:
    """Open a run's sealed test split, which is counted, and measure it. `source` is needed for data in memory.

    Raises UsageError, DataError, ArtefactError.
    """
    return load(run).test(source)
