"""diagnose: the ladder and its verdict, from a run or from predictions made elsewhere. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon.core.errors import UsageError
from gnomon.core.settings import from_flat
from gnomon.core.settings.types import ANSWERS
from gnomon.data.in_memory import table_or_path
from gnomon.metrics.intervals import measure, paired_difference
from gnomon.runs.seal import MANIFEST
from gnomon.strategy import external, ladder
from gnomon.strategy.people import FEWEST_ANSWERS, classes_in, has_answers, people, read_people
from gnomon.strategy.real_world import OnDev, read_real, with_real_world
from gnomon.strategy.two_way import TwoWay, general_part, two_way
from gnomon.workflow.ensemble import Ensemble, Places, ensemble_of
from gnomon.workflow.road.people import class_names, level_of, people_cell
from gnomon.workflow.road.verdict import diagnosis_of
from gnomon.workflow.run import Run, load

if TYPE_CHECKING:
    import polars as pl

    from gnomon.core.evaluation import Evaluation
    from gnomon.metrics.interval import Interval
    from gnomon.strategy.diagnosis import Diagnosis


Table = Any  # a frame of polars, pandas or Arrow, or the path of one
Human = float | Sequence[float] | Table  # errors of people, or a table of their answers


def diagnose(
    run: Places | Ensemble | None = None,
    *,
    predictions: Table | None = None,
    human: Human | None = None,
    real: Table | None = None,
    crops: int | str = 1,
) -> Diagnosis:
    """The diagnosis of a run, or of a predictions table (columns split, target, prediction, and more if available).

    Several runs ("RUN,RUN,RUN", or a list), or `crops` of each picture, are judged together: every split but test is
    measured again, and nothing is written.

    `human` replaces the human-level error given to the run: one or several errors, of which the lowest counts because
    a plain figure has no interval, or a table of people's answers (id, and one column per person). `real` adds the rung
    after test: a table of answers gathered in use (target and prediction, or error) or of which system users preferred
    (preferred: "this", the name of another run, or "tie"). Tables are frames or files.

    Raises UsageError, DataError, ArtefactError.
    """
    answers, levels = _levels(human)
    if predictions is not None:
        evaluations = external.read_predictions(table_or_path(predictions))
        leaked = external.leaked_ids(evaluations)
        classes = classes_in(evaluations.values())
        level = level_of(evaluations, answers, classes)
        found = ladder.diagnose(evaluations, human=level or levels, leaked=leaked)
        if real is None:
            return found
        return with_real_world(found, read_real(table_or_path(real), unit=found.unit, classes=None))
    if run is None:
        raise UsageError("there is nothing to diagnose.", fix="give a run, or predictions=TABLE.")
    ensemble = ensemble_of(run, crops)
    opened = ensemble.runs[0]
    if not ensemble.is_plain:
        if real is not None:
            raise UsageError("real= is about one run as it is.", fix="leave out crops and the other runs, or real.")
        from gnomon.workflow.judge.gain import diagnose_together

        level = None if answers is None else level_of(ensemble.evaluations(), answers, class_names(opened.task))
        return diagnose_together(ensemble, level or levels)
    if levels is None and answers is None:
        found = opened.diagnosis
    else:
        evaluations = opened.evaluations()
        found = diagnosis_of(
            opened, evaluations, human=level_of(evaluations, answers, class_names(opened.task)) or levels
        )
    return found if real is None else _with_use(found, opened, real)


def _with_use(found: Diagnosis, run: Run, real: Table) -> Diagnosis:
    """With the rung of errors in use; a run that users compared it with is looked up by its name or path."""
    this = (run.path.name, str(run.path))
    answers = read_real(table_or_path(real), unit=found.unit, classes=class_names(run.task), this=this)
    on_dev = None
    if answers.preference is not None:
        name = Path(answers.preference.other)
        place = next((one for one in (name, run.path.parent / name) if (one / MANIFEST).is_file()), None)
        on_dev = None if place is None else _on_dev(run, load(place))
    return with_real_world(found, answers, on_dev, seed=run.settings.seed)


def _on_dev(run: Run, other: Run) -> OnDev:
    mine, theirs = run.evaluation("dev"), other.evaluation("dev")
    gap = paired_difference(theirs, mine, seed=run.settings.seed)
    return OnDev(measure(mine).interval.value, measure(theirs).interval.value, gap)


def general_and_target(
    run: Places | Ensemble | None = None, *, predictions: Table | None = None, human: Human | None = None
) -> TwoWay | None:
    """The two-way table of a run or of a predictions table; None without a train-dev split.

    `human` as in `diagnose`, or otherwise as given to the run, is people's error on the target data. A table of
    answers may include examples of train-dev: people's error on general data.
    """
    answers, levels = _levels(human)
    seed, classes = 0, None
    if predictions is not None:
        evaluations = external.read_predictions(table_or_path(predictions))
        classes = classes_in(evaluations.values())
    elif run is None:
        return None
    else:
        ensemble = ensemble_of(run)
        opened = ensemble.runs[0]
        if "train_dev" not in opened.folder.saved_predictions():
            return None
        evaluations, seed, classes = ensemble.evaluations(), opened.settings.seed, class_names(opened.task)
        if answers is None and levels is None:
            answers, levels = _levels(opened.settings.goal.human)
    target = people_cell(level_of(evaluations, answers, classes)) or people_cell(levels)
    return two_way(
        evaluations, human_general=_on_general_data(evaluations, answers, classes), human_target=target, seed=seed
    )


def _on_general_data(
    evaluations: Mapping[str, Evaluation], answers: pl.DataFrame | None, classes: Sequence[str] | None
) -> Interval | None:
    """People's error on general data; None where they answered too little of it."""
    general = general_part(evaluations)
    if answers is None or general is None or not has_answers(answers, general):
        return None
    level = people(answers, general, classes=classes).level
    return level.interval if level.examples >= FEWEST_ANSWERS else None


def _levels(human: Human | None) -> tuple[pl.DataFrame | None, Sequence[float] | None]:
    """A table of answers, or errors: 0.01, (0.03, 0.01), "0.03,0.01"."""
    if human is None:
        return None, None
    if isinstance(human, str | os.PathLike):
        is_table = os.fsdecode(human).lower().endswith(ANSWERS)
    else:
        is_table = hasattr(human, "columns")
    if is_table:
        return read_people(table_or_path(human)), None
    figures = from_flat({"goal.human": human}).goal.human
    assert not isinstance(figures, str)
    return None, figures
