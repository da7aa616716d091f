"""diagnose: the ladder and its verdict, from a run or from predictions that anything else made. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gnomon.strategy import external, ladder

if TYPE_CHECKING:
    import polars as pl

    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.workflow.run import Run


def diagnose(
    run: Run | str | Path | None = None,
    *,
    predictions: pl.DataFrame | str | Path | None = None,
    human: float | Sequence[float] | None = None,
) -> Diagnosis:
    """The diagnosis of a run, or of a predictions table (columns split, target, prediction, and more if you have them).

    `human` replaces the human-level error the run was given. Raises UsageError, DataError, ArtefactError.
    """
    levels = (human,) if isinstance(human, int | float) else human
    if predictions is not None:
        evaluations = external.read_predictions(predictions)
        return ladder.diagnose(evaluations, human=levels, leaked=external.leaked_ids(evaluations))
    if run is None:
        from gnomon.core.errors import UsageError

        raise UsageError("there is nothing to diagnose.", fix="hand over a run, or predictions=TABLE.")
    from gnomon.workflow.judge import diagnosis_of
    from gnomon.workflow.run import Run, load

    opened = run if isinstance(run, Run) else load(run)
    if levels is None:
        return opened.diagnosis
    return diagnosis_of(opened, opened.evaluations(), human=levels)
