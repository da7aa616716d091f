"""A finished (or stopped) run: its settings, model, predictions and diagnosis, read when asked for."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.own import NO_OWN, Loss, Own
from gnomon.core.settings import Settings
from gnomon.core.task import Task, TaskKind
from gnomon.metrics.intervals import inflation_of
from gnomon.runs.folder import RunFolder, find
from gnomon.runs.names import MODEL, Place
from gnomon.runs.records import HistoryRow
from gnomon.strategy.diagnosis import Diagnosis
from gnomon.workflow.system import System, by_fold

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from torch import nn

    from gnomon.training.evaluate import Member
    from gnomon.workflow.explain import Explanation
    from gnomon.workflow.predict import Answers
    from gnomon.workflow.sample import Samples


@final
class Run:
    """One execution and its folder. Files are read, and checked against the manifest, when first used."""

    def __init__(self, folder: RunFolder, task: TaskKind | None = None, own: Own = NO_OWN) -> None:
        self.folder = folder
        self._task_class, self._own = task, own
        self._by_engine: dict[str, list[Member]] = {}

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
    def _systems(self) -> list[System]:
        where = str(self.path / MODEL)
        return [
            System(files, where, kind=self._task_class, own=self._own, settings=self.settings)
            for files in by_fold(self._model_files, self.folds)
        ]

    @property
    def folds(self) -> int:
        """How many models there are, each judged on examples that only the others trained on; 0 for one model."""
        return self.settings.split.folds or 0

    @property
    def task(self) -> Task:
        """The task with the facts fitted on the training split; of folds, on what the first one trained on."""
        return self._systems[0].task

    @property
    def model(self) -> nn.Module:
        """The trained network: a plain torch module, in evaluation mode, on the CPU unless you passed it in.

        Raises UsageError for folds, which have several.
        """
        if self.folds:
            raise UsageError(
                f"this run has {self.folds} models, one for each fold.", where=str(self.path),
                fix="use run.models, or predict, which averages what they say.",
            )  # fmt: skip
        return self._systems[0].model

    @property
    def models(self) -> list[nn.Module]:
        """The network of each fold; the one network of a run without folds."""
        return [system.model for system in self._systems]

    @property
    def members(self) -> list[Member]:
        """The models that predict, each with its own facts."""
        from gnomon.training.evaluate import Member

        return [Member(system.task, system.model) for system in self._systems]

    def members_by(self, engine: str) -> list[Member]:
        """The models that predict, computed by "torch", or by "onnx" (made at its first use, of those weights).

        Raises UsageError, and MachineError if the extra is not installed.
        """
        if engine != "torch" and self.task.head.wants == "sequence":
            raise UsageError(
                f"engine={engine} computes one pass through a net, and texts are written piece by piece.",
                fix="leave engine out.",
            )
        if engine not in self._by_engine:
            from gnomon.training.onnx_engine import with_engine

            members = self.members
            self._by_engine[engine] = [replace(one, model=with_engine(one.model, engine)) for one in members]
        return self._by_engine[engine]

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
        judge = self.task.judge
        inflation = inflation_of(self.folds) if self.folds and split in ("train", "dev") else 1.0
        return Evaluation(split, judge.error_unit, table, judge.split_error(table), inflation)

    @property
    def has_test(self) -> bool:
        """Whether there is a test split, opened or not."""
        return "test" in self.folder.load_data()["splits"]

    def evaluations(self) -> dict[str, Evaluation]:
        """Every split that has been evaluated, in the order of the ladder."""
        return {split: self.evaluation(split) for split in self.folder.saved_predictions()}

    def answers(self, source: Any, *, crops: int = 1, engine: str = "torch", **asked: Any) -> Answers:
        """Predictions for new inputs, with what was noted on the way and the inputs that could not be read."""
        from gnomon.workflow.predict import Way, answer, with_crops

        members = with_crops(self.members_by(engine), crops)
        return answer(members, source, [self.settings] * len(members), Way(asked=asked))

    def predict(self, source: Any, *, crops: int = 1, engine: str = "torch", **asked: Any) -> pl.DataFrame:
        """Predictions for new inputs: one row per example, with id, prediction, confidence and what the task adds.

        `crops`: of pictures, how many views are averaged (1, 2, 5 or 10). `engine`: what computes the net; "onnx" is
        onnxruntime, faster on one or a few inputs, for which the net is exported at the first call. `asked`: of
        translations beam=, length_alpha=, n_best= and no_repeat=, in place of the run's own.
        Warns (UserWarning) where the inputs are such that the answers are worth little; `answers` has all notes.
        """
        found = self.answers(source, crops=crops, engine=engine, **asked)
        for alarm in found.alarms:
            warnings.warn(alarm, stacklevel=2)
        return found.table

    def explain(self, source: Any = None, *, class_name: Any = None, out: str | Path | None = None) -> Explanation:
        """What in pictures speaks for their answers; without a source, what its units see: as `gnomon.explain`."""
        from gnomon.workflow.explain import explain_run

        return explain_run(self, source, class_name, out)

    def sample(
        self, prefix: str = "", *, count: int = 1, length: int | None = None, temperature: float = 1.0,
        top_k: int = 0, top_p: float = 1.0, reject: str = "unknown", seed: int = 0,
    ) -> list[str]:  # fmt: skip
        """New texts from a language model, each with the prefix it begins with: as `gnomon.sample`, the texts alone.

        Warns (UserWarning) of pieces of the prefix that the model does not know.
        """
        from gnomon.workflow.sample import Drawing, sample_run

        drawing = Drawing.of(count, length, temperature, top_k, top_p, reject, seed)
        found = sample_run(self, prefix, drawing)
        for note in found.notes:
            warnings.warn(note, stacklevel=2)
        return list(found.texts)

    def predict_proba(self, source: Any, *, crops: int = 1, engine: str = "torch") -> np.ndarray:
        """(N, K) float64: the probability of each class, in the order of `classes`. Raises UsageError for numbers."""
        from gnomon.workflow.predict import class_probabilities, with_crops

        members = with_crops(self.members_by(engine), crops)
        return class_probabilities(members, source, [self.settings] * len(members))

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


def explain(run: Place, source: Any = None, *, class_name: Any = None, out: str | Path | None = None) -> Explanation:
    """Show what in each picture of `source` speaks for its predicted class, and for `class_name` too if it is given.

    Without a source: for each stage of the net, the patches of dev pictures that excite some of its units most.
    `source`: what `gnomon.predict` takes. `out` is a folder for one PNG per picture or stage; a file that is there is
    never overwritten, the new one gets a number. Raises UsageError, DataError, ArtefactError.
    """
    return load(run).explain(source, class_name=class_name, out=out)


def sample(
    run: Place, prefix: str = "", *, count: int | str = 1, length: int | str | None = None,
    temperature: float | str = 1.0, top_k: int | str = 0, top_p: float | str = 1.0, reject: str = "unknown",
    seed: int | str = 0,
) -> Samples:  # fmt: skip
    """Draw `count` texts from a language model, each the prefix and at most `length` pieces after it.

    Where texts end (lines, documents) they may end sooner. A piece is drawn from softmax(logits / temperature), 0
    being the likeliest piece; `top_k` draws from so many of the likeliest alone, `top_p` from the fewest that make up
    this share. `reject`: "unknown" never draws what stands for unknown pieces, "none" rejects nothing. What text
    number i is drawn with depends on the seed and i alone. Raises UsageError, ArtefactError.
    """
    from gnomon.workflow.sample import Drawing, sample_run

    return sample_run(load(run), prefix, Drawing.of(count, length, temperature, top_k, top_p, reject, seed))
