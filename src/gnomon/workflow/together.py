"""What several runs say together, or one with crops, of the splits they were trained and judged on. Nothing is written.

Each run reads the data with its own settings and facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SPLITS
from gnomon.core.seeds import derive
from gnomon.training.evaluate import evaluate_together
from gnomon.training.threads import using
from gnomon.workflow.prepare import prepare_again
from gnomon.workflow.road.split import TRAIN_RUNG, train_sample
from gnomon.workflow.test import require_test

if TYPE_CHECKING:
    from gnomon.core.evaluation import Evaluation
    from gnomon.core.example import Examples
    from gnomon.workflow.ensemble import Ensemble
    from gnomon.workflow.road.split import Prepared
    from gnomon.workflow.run import Run


def evaluations_of(ensemble: Ensemble, splits: Sequence[str], source: Any = None) -> dict[str, Evaluation]:
    """What the ensemble says of each of `splits` that there is. "test" is for whoever has counted its opening.

    Raises UsageError for runs that were judged on different examples, or that have folds; DataError if the data is no
    longer what they were trained on.
    """
    first = ensemble.runs[0]
    refuse_other_splits(ensemble.runs)
    prepared = _prepared(ensemble.runs, source)
    found = {}
    for split in SPLITS:
        if split not in splits or split not in prepared[0].splits:
            continue
        examples = [_judged(first, one.splits[split], split) for one in prepared]
        target = first.settings.data.target_data
        name = prepared[0].source.name if split in ("train", "train_dev") or not target else Path(target).stem
        with using(first.settings.machine.threads):
            found[split] = evaluate_together(
                ensemble.members, examples, split=split, source=name, device=torch.device("cpu")
            )
    return found


def tested(ensemble: Ensemble, source: Any = None) -> Evaluation:
    """What the ensemble says of test, after the opening was counted in each of its runs. Their tables stay as they are.

    Raises UsageError if a run has no test split, and as `evaluations_of` does, before anything is counted.
    """
    for run in ensemble.runs:
        require_test(run)
    refuse_other_splits(ensemble.runs)
    for run in dict.fromkeys(ensemble.runs):
        with run.folder.lock():
            run.folder.add_opening()
    return evaluations_of(ensemble, ["test"], source)["test"]


def _judged(first: Run, examples: Examples, split: str) -> Examples:
    """What a split is evaluated on, as in the first run."""
    seed = first.settings.seed
    some = train_sample(examples, TRAIN_RUNG, seed) if split == "train" else examples
    return first.task.judge.judged(some, derive(seed, "judged"))


def _prepared(runs: Sequence[Run], source: Any) -> list[Prepared]:
    """The data of each run as that run reads it; runs with the same settings of data share one reading."""
    found: list[tuple[Any, Prepared]] = []
    for run in runs:
        key = (run.folder.load_data()["reopen"], run.settings.data, run.settings.split, run.settings.split_seed)
        known = next((one for seen, one in found if seen == key), None)
        again = known or prepare_again(
            run.folder, source, run.settings, run.task.kind,
            in_memory="judge runs whose data is in files, or use predict.", moved="put it back there.",
        )  # fmt: skip
        found.append((key, again))
    return [one for _, one in found]


def refuse_other_splits(runs: Sequence[Run]) -> None:
    """Raises UsageError, saying what differs, for runs that cannot be judged together."""
    for run in runs:
        if run.folds:
            raise UsageError(
                f"{run.path.name} has {run.folds} folds: all but one of its models have seen each dev example, so what "
                f"they say together cannot be judged on dev.",
                fix="leave it out, or use predict.",
            )  # fmt: skip
    first, *others = runs
    for run in others:
        what = _other_splits(first, run)
        if what:
            raise UsageError(
                f"{first.path.name} and {run.path.name} were judged on different examples: {what}.",
                fix="fit them on the same data with the same split_seed (and split settings); seed may differ.",
            )


def _other_splits(first: Run, other: Run) -> str:
    """What differs; "" if nothing does."""
    tables = [run.folder.load_splits() for run in (first, other)]
    for split in SPLITS:
        ours, theirs = (set(table.filter(pl.col("split") == split)["id"]) for table in tables)
        if ours != theirs:
            named = split.replace("_", "-")
            return f"{named} has {len(ours):,} and {len(theirs):,} examples, {len(ours & theirs):,} of them shared"
    if first.settings.data == other.settings.data:  # else the same example may be read in different ways
        rows, others = (set(table.select("id", "fingerprint").iter_rows()) for table in tables)
        if rows != others:
            return f"{len(rows - others):,} examples have the same id and other inputs"
    mine, yours = (run.evaluation("dev").table.sort("id")["target"].cast(pl.String) for run in (first, other))
    wrong = int(mine.ne_missing(yours).sum())
    return f"{wrong:,} dev examples have other targets" if wrong else ""
