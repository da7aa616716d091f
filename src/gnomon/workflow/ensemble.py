"""Several runs that answer together, or one that looks at several views of each picture: the mean of what they say.

An ensemble has no folder of its own. Each of its runs reads inputs with its own facts and settings; one model is at
work at a time, on one view of one batch.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SPLITS
from gnomon.core.options import is_yes, number, whole
from gnomon.runs.names import Place, place_of
from gnomon.workflow.run import Run, load

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from gnomon.core.evaluation import Evaluation
    from gnomon.core.settings import Settings
    from gnomon.core.task import Task
    from gnomon.training.evaluate import Member
    from gnomon.workflow.predict import Answers, Way

OPEN = tuple(split for split in SPLITS if split != "test")
Places = Place | Sequence[Place]  # a run; or several: as a list, or as one text with commas between them


@final
class Ensemble:
    """Runs with one question, and how many views of each picture they look at.

    Raises UsageError for runs of other tasks, targets or classes, and for `crops` that these inputs cannot have.
    """

    def __init__(self, runs: Sequence[Place], crops: int | str = 1) -> None:
        if not runs:
            raise UsageError("an ensemble needs at least one run.", fix="give runs: RUN,RUN,RUN.")
        self.runs = tuple(load(run) for run in runs)
        self.crops = whole("crops", crops)
        if self.crops != 1:
            from gnomon.workflow.predict import checked_crops

            for run in self.runs:
                checked_crops(run.task, self.crops)
        if len(self.runs) > 1:
            refuse_other_questions(self.runs)
        self._measured: dict[str, Evaluation] = {}

    def __repr__(self) -> str:
        return f"Ensemble([{', '.join(map(repr, self.runs))}], crops={self.crops})"

    @property
    def name(self) -> str:
        """Of its runs' folders, and the number of crops where there are several."""
        return " + ".join(run.path.name for run in self.runs) + self.suffix

    @property
    def suffix(self) -> str:
        return f" crops={self.crops}" if self.crops > 1 else ""

    @property
    def is_plain(self) -> bool:
        """Whether it is one run as it is."""
        return len(self.runs) == 1 and self.crops == 1

    @property
    def task(self) -> Task:
        """Of the first run, whose judge decodes what all say together."""
        return self.runs[0].task

    @property
    def classes(self) -> list[Any]:
        """The classes, of the type they were given as. Raises UsageError where an example has no single class."""
        return self.runs[0].classes

    @cached_property
    def members(self) -> list[Member]:
        """The models that answer; of a run with folds, all of them."""
        return self.members_by("torch")

    @property
    def settings(self) -> list[Settings]:
        """Those of each member's run."""
        return [run.settings for run in self.runs for _ in run.models]

    def members_by(self, engine: str) -> list[Member]:
        """The models that answer, computed by "torch" or "onnx": as `Run.members_by`."""
        from gnomon.workflow.predict import with_crops

        return with_crops([member for run in self.runs for member in run.members_by(engine)], self.crops)

    def answers(self, source: Any, *, engine: str = "torch", way: Way | None = None) -> Answers:
        """Predictions for new inputs, with what was noted on the way and the inputs that could not be read."""
        from gnomon.workflow.predict import AS_IT_IS, answer

        return answer(self.members_by(engine), source, self.settings, way or AS_IT_IS)

    def predict(self, source: Any, *, engine: str = "torch") -> pl.DataFrame:
        """Predictions for new inputs, as `Run.predict` gives them."""
        found = self.answers(source, engine=engine)
        for alarm in found.alarms:
            warnings.warn(alarm, stacklevel=2)
        return found.table

    def predict_proba(self, source: Any) -> np.ndarray:
        """(N, K) float64: the probability of each class, in the order of `classes`. Raises UsageError for numbers."""
        from gnomon.workflow.predict import class_probabilities

        return class_probabilities(self.members, source, self.settings)

    def evaluation(self, split: str) -> Evaluation:
        """What it says of train, train_dev or dev: of a run as it is the saved table, else measured now.

        Raises UsageError for runs that were judged on different examples, and for test, which stays sealed.
        """
        if self.is_plain:
            return self.runs[0].evaluation(split)
        if split == "test" and split not in self._measured:
            raise UsageError(
                f"test is sealed: {self.name} has not been judged on it.", fix="gnomon test opens it, which is counted."
            )
        if split not in self._measured:
            from gnomon.workflow.together import evaluations_of

            self._measured |= evaluations_of(self, [split])
        return self._measured[split]

    def evaluations(self) -> dict[str, Evaluation]:
        """Every open split, in the order of the ladder; raises as `evaluation` does."""
        if self.is_plain:
            return self.runs[0].evaluations()
        missing = [split for split in OPEN if split not in self._measured]
        if missing:
            from gnomon.workflow.together import evaluations_of

            self._measured |= evaluations_of(self, missing)
        return {split: self._measured[split] for split in SPLITS if split in self._measured}

    def test(self, source: Any = None) -> Evaluation:
        """Open the test split, which is counted in every run, and measure it; of one run as it is, that is saved.

        `source` is needed for data that was in memory. Raises UsageError for runs without a test split, and as
        `evaluation` does.
        """
        if self.is_plain:
            return self.runs[0].test(source)
        from gnomon.workflow.together import tested

        self._measured["test"] = tested(self, source)
        return self._measured["test"]


def ensemble_of(runs: Places | Ensemble, crops: int | str = 1) -> Ensemble:
    """The ensemble that a person means: a run, several of them, or RUN,RUN,RUN. Raises as `Ensemble` does."""
    if isinstance(runs, Ensemble):
        return runs if whole("crops", crops) == 1 else Ensemble(runs.runs, crops)
    if isinstance(runs, list | tuple):
        return Ensemble(runs, crops)
    if isinstance(runs, Run):
        return Ensemble([runs], crops)
    text = place_of(runs)
    names = [text] if os.path.lexists(text) else text.split(",")
    if not all(names):
        raise UsageError(f"{text} names a run that is empty.", fix="write the runs with commas and no blanks: RUN,RUN.")
    return Ensemble(names, crops)


def refuse_other_questions(runs: Sequence[Run]) -> None:
    """Raises UsageError, saying what differs, for runs whose answers cannot be averaged."""
    first, *others = runs
    for run in others:
        what = _other_question(first, run)
        if what:
            raise UsageError(
                f"{first.path.name} and {run.path.name} cannot answer together: {what}.",
                fix="give runs that were fitted to the same target, with the same classes.",
            )
    if not first.task.judge.can_average:
        raise UsageError(
            f"the answers of several models for {first.task.kind.title} cannot be averaged.", fix="give one run."
        )


def _other_question(first: Run, other: Run) -> str:
    """What differs; "" if nothing does."""
    kinds = [run.task.kind for run in (first, other)]
    if kinds[0].name != kinds[1].name:
        return f"one is {kinds[0].title}, the other {kinds[1].title}"
    targets = [run.settings.data.target for run in (first, other)]
    if None not in targets and targets[0] != targets[1]:
        return " and ".join(f"one predicts {', '.join(names)}" for names in targets if names)
    asked, wanted = (run.task.judge.question for run in (first, other))
    if list(asked) != list(wanted):
        return f"one predicts {', '.join(asked)}, the other {', '.join(wanted)}"
    for target, classes in asked.items():
        if classes != wanted[target]:
            return _other_classes(classes, wanted[target])
    return ""


def _other_classes(first: Sequence[str], other: Sequence[str]) -> str:
    only = [[name for name in one if name not in another] for one, another in ((first, other), (other, first))]
    if not any(only):
        return "their classes are in a different order"
    parts = [f"only the {which} has {_some(names)}" for which, names in zip(("first", "second"), only, strict=True)
             if names]  # fmt: skip
    return f"their classes differ: {' and '.join(parts)}"


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def predict(
    run: Places | Ensemble, source: Any, *, crops: int | str = 1, engine: str = "torch",
    threshold: float | str | None = None, tiles: bool | str = False, draw: bool | str = False,
    out: str | Path | None = None, beam: int | str | None = None, length_alpha: float | str | None = None,
    n_best: int | str | None = None, no_repeat: int | str | None = None,
) -> Answers:  # fmt: skip
    """Predict new inputs with a run's model; `out` (.csv, .json or .parquet) is a new file for the table of answers.

    `source`: what `gnomon.fit` takes, without targets. Several runs (a list, or "RUN,RUN,RUN") answer together: the
    mean of their probabilities, or of their numbers. `crops`: of pictures, how many views are averaged: 1, 2 (the
    picture and its mirror image), 5 (four corners and the centre) or 10 (and their mirror images). `engine`: what
    computes the nets: "torch", or "onnx": onnxruntime (gnomon[onnx]).
    Of boxes: `threshold` overrules the score from which a box is an answer; `tiles` looks at large pictures piece by
    piece. `draw`: pictures with the answers drawn on them, in the folder predict/ beside the runs. Of translations:
    `beam`, `length_alpha`, `n_best` and `no_repeat`, in place of the run's own.
    Raises UsageError, DataError, ArtefactError, MachineError.
    """
    from gnomon.workflow.drawn import default_folder
    from gnomon.workflow.predict import Way, checked_out, write_answers

    place = None if out is None else checked_out(out)
    ensemble = ensemble_of(run, crops)
    given = {"beam": beam, "length_alpha": length_alpha, "n_best": n_best, "no_repeat": no_repeat}
    asked = {name: value for name, value in given.items() if value is not None}
    way = Way(
        None if threshold is None else number("threshold", threshold), is_yes("tiles", tiles),
        default_folder(ensemble.runs[0]) if is_yes("draw", draw) else None, asked,
    )  # fmt: skip
    answers = ensemble.answers(source, engine=engine, way=way)
    if place is not None:
        write_answers(answers, ensemble.task, place)
    return answers


def test(run: Places | Ensemble, source: Any = None, *, crops: int | str = 1) -> Evaluation:
    """Open a run's sealed test split, which is counted, and measure it. `source` is needed for data in memory.

    Several runs, or `crops` of each picture, are judged as `Ensemble.test` does. Raises UsageError, DataError,
    ArtefactError.
    """
    return ensemble_of(run, crops).test(source)
