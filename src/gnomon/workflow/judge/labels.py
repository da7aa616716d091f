"""labels: likely wrong labels ranked, from models that have not seen them; the review is in label_review.py."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE
from gnomon.core.options import new_file, share, whole
from gnomon.core.seeds import generator
from gnomon.core.settings import Settings, from_flat, refuse_idle
from gnomon.data.in_memory import table_or_path
from gnomon.runs.names import LATEST
from gnomon.runs.seal import MANIFEST
from gnomon.strategy.external import column_names, read_predictions
from gnomon.strategy.labels import (
    find_suspects,
)
from gnomon.workflow.judge import place_labels
from gnomon.workflow.judge.label_review import (
    RANDOM,
    TOP,
    Audit,
    Reviewed,
    corrections,
    judge_review,
    read_review,
    write_corrections,
    write_review,
)
from gnomon.workflow.judge.place_labels import PlaceAudit, PlaceFindings
from gnomon.workflow.prepare import prepare, source_of
from gnomon.workflow.road.open import settings_for, with_target
from gnomon.workflow.run import Run, load
from gnomon.workflow.session import here_of
from gnomon.workflow.words import LabelsWords, spelled_out

PROBABILITY = "p."
TABLES = (".csv", ".parquet", ".pq")
FOLDS = 5
TIME_BINS = 10


@dataclass(frozen=True)
class Findings:
    """What the verb found, read and wrote."""

    audit: Audit
    reviewed: Reviewed | None
    out: Path | None
    written: int
    corrected: Path | None
    num_corrected: int


@spelled_out(LabelsWords)
def labels(
    source: Any = None,
    /,
    target: Any = None,
    *,
    predictions: Any = None,
    split: str | None = None,
    folds: int | str = FOLDS,
    out: str | Path | None = None,
    top: int | str = TOP,
    random: int | str = RANDOM,
    review: str | Path | None = None,
    corrected: str | Path | None = None,
    difference: float | str | None = None,
    **settings: Unpack[LabelsWords],
) -> Findings | PlaceFindings:
    """Likely wrong labels of a run's split, or of data; a review sheet out, or one read back and what follows from it.

    `source`: a run, its folder or "latest" (`split`: dev by default), or what `gnomon.fit` takes (its training split).
    train is audited by `folds` models. `predictions`, instead: a table (frame or file) as `diagnose` takes it, with a
    column p.CLASS for each class, from models that were not trained on these rows. `out`: a new CSV with `top`
    suspects and `random` others. `review`: such a CSV, filled in; `corrected`: a new CSV of the labels found wrong in
    it; `difference`: between the errors of models that are compared on this split. Of boxes and masks, the suspects are
    places in pictures, and nothing is written as corrected. Raises UsageError, DataError,
    ArtefactError.
    """
    if corrected is not None and review is None:
        raise UsageError("corrected labels come from a review.", fix="also give review=review.csv.")
    sheet, corrections_file = (
        None if path is None else new_file(path, (".csv",), "out=review.csv") for path in (out, corrected)
    )
    num_top, num_random, num_folds = whole("top", top), whole("random", random), whole("folds", folds, least=2)
    gap = None if difference is None else share("difference", difference)
    if predictions is not None:
        found = _from_elsewhere(source, target, predictions, split, settings)
    else:
        found = _of_run_or_data(source, target, split, num_folds, settings)
    if isinstance(found, PlaceAudit):
        if corrected is not None:
            raise UsageError(
                "corrected labels are written for classes, not for boxes and masks.",
                fix="leave corrected out, and correct the places of the sheet in your annotation tool.",
            )
        return place_labels.findings(found, sheet, review, top=num_top, random=num_random)
    reviewed, written, num_corrected = None, 0, 0
    if review is not None:
        reviewed = judge_review(found, read_review(found, Path(review)), difference=gap)
    if sheet is not None:
        written = write_review(found, sheet, top=num_top, random=num_random)
    if corrections_file is not None and reviewed is not None:
        table = corrections(found, reviewed.rows)
        write_corrections(table, corrections_file)
        num_corrected = len(table)
    return Findings(found, reviewed, sheet, written, corrections_file, num_corrected)


def _of_run_or_data(
    source: Any, target: Any, split: str | None, folds: int, words: Mapping[str, Any]
) -> Audit | PlaceAudit:
    if source is None:
        raise UsageError("there is nothing to audit.", fix="give a run, data, or predictions=TABLE.")
    run = load(source) if _is_run(source) else None
    _refuse_predictions(source)
    source, values = with_target(source, target, words)
    if run is not None and values:
        raise UsageError(f"{next(iter(values))} cannot be set: the run has its settings.", fix="leave it out.")
    opened, given = settings_for(values)
    thing = source if run is None else run
    return _any_audit(thing, split, None if run else opened, folds, given)


def _from_elsewhere(
    source: Any, target: Any, predictions: Any, split: str | None, words: Mapping[str, Any]
) -> Audit | PlaceAudit:
    extra = next(iter({"target": target} if target is not None else words), None)
    if source is not None or extra is not None:
        what = extra if source is None else f"{source}"
        raise UsageError(f"{what} does not go with predictions.", fix="leave one of them out.")
    evaluations = read_predictions(table_or_path(predictions))
    name = (
        split.replace("-", "_") if split else next(one for one in ("dev", "test", *evaluations) if one in evaluations)
    )
    if name not in evaluations:
        there = ", ".join(one.replace("_", "-") for one in evaluations)
        raise UsageError(f"the table has no split {split!r}; it has {there}.", fix=f"give split={there.split(',')[0]}.")
    evaluation = evaluations[name]
    if evaluation.table["target"].null_count():
        raise UsageError("label audits need the labels.", fix="give the columns target and prediction, without gaps.")
    return _audit(evaluation.table, evaluation.unit, name, "predictions made elsewhere", None)


def _refuse_predictions(source: Any) -> None:
    """Raises UsageError for a table of predictions given as data to train on."""
    is_path = isinstance(source, str | os.PathLike)
    path = Path(source) if is_path else None
    if path is None or path.suffix.lower() not in TABLES or not path.is_file():
        return
    names = column_names(path)
    if {"split", "target"} <= set(names) and sum(name.startswith(PROBABILITY) for name in names) > 1:
        raise UsageError(
            "this is a table of predictions, not data to train on.", where=str(path),
            fix=f"audit it as it is: gnomon labels --predictions {path}",
        )  # fmt: skip


def _is_run(thing: Any) -> bool:
    if not isinstance(thing, str | os.PathLike):
        return False
    return thing == LATEST or os.path.lexists(Path(thing) / MANIFEST)


def audit(
    thing: Any, *, split: str | None = None, settings: Settings | None = None, folds: int = FOLDS,
    given: frozenset[str] = frozenset(),
) -> Audit:  # fmt: skip
    """The audit of a run's split, or of the training split of data.

    dev, train-dev and test (once opened) have the run's own probabilities; train needs `folds` models, each trained on
    the rest of it. Raises UsageError for a task without classes, or with too many to store probabilities.
    """
    found = _any_audit(thing, split, settings, folds, given)
    if isinstance(found, PlaceAudit):
        raise UsageError(
            f"{found.what} are not reviewed one by one here.",
            fix="gnomon labels RUN out=review.csv lists the suspects.",
        )
    return found


def _any_audit(
    thing: Any, split: str | None, settings: Settings | None, folds: int, given: frozenset[str]
) -> Audit | PlaceAudit:
    if isinstance(thing, Run):
        split = (split or "dev").replace("-", "_")
        return _of_train(thing, None, folds, frozenset()) if split == "train" else _of_evaluation(thing, split)
    if split not in (None, "train"):
        raise UsageError(f"without a run only train can be audited, not {split}.", fix="leave split out, or fit first.")
    return _of_train(thing, settings, folds, given)


def _of_evaluation(run: Run, split: str) -> Audit | PlaceAudit:
    evaluation = run.evaluation(split)
    return _audit(evaluation.table, evaluation.unit, split, "the run's own probabilities", None)


def _of_train(thing: Any, settings: Settings | None, folds: int, given: frozenset[str]) -> Audit | PlaceAudit:
    """Each fold predicted by a model trained on the others, with the run's settings, or those `fit` would choose."""
    from gnomon.data.columns import take
    from gnomon.training.evaluate import evaluate
    from gnomon.workflow.trial import Trials

    if folds < 2:
        raise UsageError(f"folds={folds} leaves nothing to train on.", fix="give folds=5.")
    if isinstance(thing, Run):
        settings = thing.settings
        source = source_of(
            thing.folder.load_data(), None, in_memory="audit the data itself.", moved="put it back there."
        )
        prepared = prepare(source, settings, thing.task.kind)
    else:
        settings = settings or from_flat({})
        prepared = prepare(thing, settings)
    train = prepared.splits["train"]
    trials = Trials(prepared, settings)
    refuse_idle(given, here_of(trials.base), trials.task.kind.title)
    _refuse_numbers(trials.task.judge.error_unit)
    tables = []
    for fold in _folds(train.index, folds, settings.seed):
        trial = trials.run(rows=np.setdiff1d(np.arange(len(train)), fold))
        device = next(trial.model.parameters()).device
        judged = evaluate(
            trial.task, trial.model, train.take(fold), split="train", source=prepared.source.name, device=device,
            columns=take(trials.columns, fold),
        )  # fmt: skip
        tables.append(judged.table.with_columns(pl.Series("_row", fold)))
    table = pl.concat(tables, how="diagonal").sort("_row").drop("_row")
    time = train.index["time"] if "time" in train.index.columns else None
    return _audit(table, trials.task.judge.error_unit, "train", f"{folds}-fold cross-validation", time)


def _folds(index: pl.DataFrame, folds: int, seed: int) -> list[np.ndarray]:
    """Positions of each fold: classes in proportion, groups whole."""
    rng = generator(seed, "label folds")
    if index["group"].null_count() < len(index):
        groups = index["group"].rank("dense").fill_null(0).to_numpy().astype(np.int64)
        alone = groups == 0
        groups[alone] = groups.max(initial=0) + 1 + np.arange(alone.sum())
        of_group = rng.permutation(groups.max() + 1) % folds
        fold = of_group[groups]
    else:
        shuffled = rng.permutation(len(index))
        strata = index["stratum"].cast(pl.String).fill_null("").to_numpy()[shuffled]
        order = shuffled[np.argsort(strata, kind="stable")]
        fold = np.empty(len(index), dtype=np.int64)
        fold[order] = np.arange(len(index)) % folds
    return [np.flatnonzero(fold == k) for k in range(folds)]


def _refuse_numbers(unit: str | None) -> None:
    """Raises UsageError if the prediction is not a class."""
    if unit != SHARE:
        of = f" ({unit})" if unit else ""
        raise UsageError(
            f"label audits need classes; what is predicted here is a number{of}.",
            fix="look at the largest errors instead, where wrong numbers show: gnomon errors RUN.",
        )


def _audit(
    table: pl.DataFrame, unit: str | None, split: str, origin: str, time: pl.Series | None
) -> Audit | PlaceAudit:
    if place_labels.is_of_places(table):
        return place_labels.audit_places(table, split, origin.replace("probabilities", "answers"))
    _refuse_numbers(unit)
    columns = [name for name in table.columns if name.startswith(PROBABILITY)]
    if len(columns) < 2:
        raise UsageError(
            "these predictions have no probability for every class.",
            fix="labels are audited for one class per example, with a column p.CLASS each (at most 100).",
        )
    names = [name.removeprefix(PROBABILITY) for name in columns]
    given = (
        table["target"]
        .cast(pl.String)
        .replace_strict(names, list(range(len(names))), default=None, return_dtype=pl.Int64)
    )
    if given.null_count():
        raise DataError(
            f"the target {table['target'].filter(given.is_null())[0]!r} has no column of probabilities.",
            fix="give a column p.CLASS for every class, from one model.",
        )
    tags = {
        name.removeprefix("tag."): table[name].to_numpy().astype(object)
        for name in table.columns
        if name.startswith("tag.")
    }
    if time is not None and time.null_count() < len(time):
        tags["time"] = _tenths(time)
    suspects = find_suspects(table.select(columns).cast(pl.Float64).to_numpy(), given.to_numpy(), names)
    errs = table["error"].to_numpy() > 0
    return Audit(split, tuple(table["id"].cast(pl.String).to_list()), suspects, errs, tags, origin)


def _tenths(time: pl.Series) -> np.ndarray:
    rank = time.rank("ordinal").to_numpy().astype(float)
    tenth = np.ceil(TIME_BINS * rank / max(len(time) - time.null_count(), 1))
    return np.array([None if np.isnan(one) else f"tenth {int(one)} of {TIME_BINS}" for one in tenth], dtype=object)
