"""test: open the sealed test split, count the opening, add its rung to the ladder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.own import Missing
from gnomon.core.seeds import derive
from gnomon.training.evaluate import evaluate_together
from gnomon.workflow.prepare import prepare_again
from gnomon.workflow.road.verdict import judge_run

if TYPE_CHECKING:
    from gnomon.workflow.run import Run


def test(run: Run, source: Any = None) -> Evaluation:
    """Measure the test split. Every opening is recorded before the split is read.

    `source` is only needed for data that was in memory. Raises UsageError if the run has no test split or is not
    finished, DataError if the data is no longer what the run was trained on.
    """
    require_test(run)
    prepared = prepare_again(
        run.folder, source, run.settings, run.task.kind,
        in_memory="pass it: run.test(data).", moved="put it back there.",
    )  # fmt: skip
    with run.folder.lock():
        run.folder.add_opening()
        target = run.settings.data.target_data
        examples = run.task.judge.judged(prepared.splits["test"], derive(run.settings.seed, "judged"))
        evaluation = evaluate_together(
            run.members, [examples] * len(run.members), split="test",
            source=Path(target).stem if target else prepared.source.name, device=torch.device("cpu"),
        )  # fmt: skip
        run.folder.save_predictions("test", evaluation.table)
        judge_run(run, run.evaluations(), examples={"test": examples})
    return evaluation


def require_test(run: Run) -> None:
    """Before an opening is counted: raises UsageError for a run without a test split, or whose own loss is missing."""
    if not run.has_test:
        raise UsageError(
            "this run has no test split.",
            where=str(run.path),
            fix="fit again with split.test=0.1, or with a test folder.",
        )
    if isinstance(run.task.loss, Missing):
        run.task.loss()
