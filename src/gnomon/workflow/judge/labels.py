"""labels: likely wrong labels ranked, a review sheet out and back in, what it implies for all, corrected labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE
from gnomon.core.given import read_given
from gnomon.core.options import new_file, share, whole
from gnomon.core.seeds import generator
from gnomon.core.settings import Settings, from_flat, refuse_idle
from gnomon.core.spreadsheet import from_csv
from gnomon.core.spreadsheet import to_csv as csv_of
from gnomon.data.in_memory import table_or_path
from gnomon.metrics.interval import Interval
from gnomon.runs.names import LATEST
from gnomon.runs.seal import MANIFEST
from gnomon.runs.writer import write_bytes
from gnomon.strategy.external import column_names, read_predictions
from gnomon.strategy.labels import (
    PARTS,
    VERDICTS,
    WRONG,
    CleanVerdict,
    Concentration,
    Part,
    Suspects,
    decide_cleaning,
    draw_review,
    estimate_total,
    find_concentrations,
    find_suspects,
)
from gnomon.workflow.judge import place_labels
from gnomon.workflow.judge.place_labels import PlaceAudit, PlaceFindings
from gnomon.workflow.prepare import prepare, source_of
from gnomon.workflow.road.open import settings_for, with_target
from gnomon.workflow.run import Run, load
from gnomon.workflow.session import here_of
from gnomon.workflow.words import LabelsWords, spelled_out

PROBABILITY = "p."
TABLES = (".csv", ".parquet", ".pq")
FOLDS = 5
TOP, RANDOM = 100, 100  # of a review sheet
SHEET = (
    "id", "part", "stands_for", "given", "suggested", "p_given", "p_suggested", "model_errs", "verdict", "label",
    "comment",
)  # fmt: skip
TIME_BINS = 10


@dataclass(frozen=True)
class Audit:
    """One split, its labels compared with probabilities from models that have not seen them."""

    split: str
    ids: tuple[str, ...]  # (N,)
    suspects: Suspects
    errs: np.ndarray  # (N,) bool: the model's answer differs from the given label
    tags: Mapping[str, np.ndarray] = field(default_factory=dict)  # {name: (N,) values}
    origin: str = ""  # where the probabilities come from, in words

    @property
    def error(self) -> float:
        return float(self.errs.mean())


@dataclass(frozen=True)
class ReviewedRow:
    """One row of a sheet that came back: verdict "" if not reviewed."""

    position: int
    part: str
    stands_for: float
    verdict: str
    label: str


@dataclass(frozen=True)
class Reviewed:
    """What the reviewed rows say about the whole split."""

    num_reviewed: int
    verdicts: dict[str, int]
    wrong: Interval  # share of wrong labels in the split
    precision: Interval | None  # share of the reviewed top suspects whose label is wrong
    cleaning: CleanVerdict
    concentrations: tuple[Concentration, ...]
    rows: tuple[ReviewedRow, ...]


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


def write_review(found: Audit, path: Path, *, top: int = TOP, random: int = RANDOM, seed: int = 0) -> int:
    """Write the sheet for a person to fill in; returns its number of rows. Raises UsageError if the file exists."""
    suspects = found.suspects
    drawn = draw_review(suspects, top=top, random=random, rng=generator(seed, "label review", found.split))
    rows = []
    for place, position in enumerate(drawn.positions.tolist()):
        given, suggested = int(suspects.given[position]), int(suspects.suggested[position])
        rows.append(
            {
                "id": found.ids[position],
                "part": drawn.parts[place],
                "stands_for": round(float(drawn.stands_for[place]), 6),
                "given": suspects.class_names[given],
                "suggested": suspects.class_names[suggested],
                "p_given": round(float(suspects.probabilities[position, given]), 4),
                "p_suggested": round(float(suspects.probabilities[position, suggested]), 4),
                "model_errs": int(found.errs[position]),
            }
        )
    write_bytes(path, csv_of(SHEET, rows))
    return len(rows)


def read_review(found: Audit, path: Path) -> tuple[ReviewedRow, ...]:
    """The rows of a sheet, checked against the audit. Raises DataError naming the invalid line."""
    missing = UsageError("there is no such file.", where=str(path), fix="write one first: out=review.csv.")
    data = read_given(path, missing=missing)
    try:
        names, lines = from_csv(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{error}.", where=str(path), fix="save it as CSV with its header.") from None
    lacking = [name for name in ("id", "part", "stands_for", "given", "suggested", "verdict") if name not in names]
    if lacking:
        raise DataError(f"has no column {lacking[0]!r}.", where=str(path), fix="keep the columns it was written with.")
    position_of = {one: position for position, one in enumerate(found.ids)}
    rows: dict[int, ReviewedRow] = {}
    for number, line in enumerate(lines, start=2):
        one = _parsed_row(line, f"{path}, line {number}", position_of, found.suspects)
        if one.position in rows:
            raise DataError(f"{line['id']!r} appears twice.", where=f"{path}, line {number}", fix="keep one row of it.")
        rows[one.position] = one
    return tuple(rows.values())


def _parsed_row(line: Mapping[str, str], where: str, position_of: Mapping[str, int], suspects: Suspects) -> ReviewedRow:
    verdict, label, part = (line.get(key, "").strip() for key in ("verdict", "label", "part"))
    if line["id"] not in position_of:
        raise DataError(f"{line['id']!r} is not in this split.", where=where, fix="use this split's own sheet.")
    position = position_of[line["id"]]
    given = suspects.class_names[suspects.given[position]]
    if line["given"] != given:
        raise DataError(
            f"{line['id']!r} is labelled {given!r} now, {line['given']!r} in the sheet.",
            where=where, fix="write a new sheet: labels have changed since.",
        )  # fmt: skip
    if verdict.lower() not in ("", *VERDICTS):
        raise DataError(f"{verdict!r} is not a verdict.", where=where, fix=f"write one of {', '.join(VERDICTS)}.")
    if label and label not in suspects.class_names:
        raise DataError(
            f"{label!r} is not a class.", where=where, fix=f"write one of {', '.join(suspects.class_names)}."
        )
    if part not in PARTS:
        raise DataError(f"unknown part {part!r}.", where=where, fix="do not change the columns part and stands_for.")
    try:
        stands_for = float(line["stands_for"].replace(",", "."))
    except ValueError:
        stands_for = float("nan")
    if not 1 <= stands_for <= len(position_of):
        raise DataError(
            f"stands_for={line['stands_for']!r} is not a valid number.", where=where,
            fix="do not change the columns part and stands_for.",
        )  # fmt: skip
    if verdict.lower() == "suggested" and not label:
        label = line["suggested"]
        if label not in suspects.class_names:
            raise DataError(f"{label!r} is not a class.", where=where, fix="do not change the column suggested.")
    return ReviewedRow(position, part, stands_for, verdict.lower(), label)


def judge_review(found: Audit, rows: Sequence[ReviewedRow], *, difference: float | None = None) -> Reviewed:
    """Wrong labels in the whole split, with an interval; where they cluster; whether cleaning is worth it.

    difference: between the errors of models compared on this split. Raises UsageError if there are no verdicts.
    """
    looked = [one for one in rows if one.verdict]
    if not looked:
        raise UsageError(
            "no row of the sheet has a verdict.", fix=f"write {', '.join(VERDICTS)} into the column verdict."
        )
    total, errs = len(found.ids), found.errs
    wrong = estimate_total(_parts(rows, lambda one: one.verdict in WRONG), _not_drawn(rows, total))
    erring = _parts([one for one in rows if errs[one.position]], lambda one: one.verdict in WRONG)
    due = estimate_total(erring, max(int(errs.sum()) - sum(part.size for part in erring), 0))
    top = next((part for part in _parts(rows, lambda one: one.verdict in WRONG) if part.name == "suspect"), None)
    precision = None
    if top is not None and top.reviewed:
        of_top = estimate_total([top])
        precision = Interval(top.found / top.reviewed, of_top.low / top.size, of_top.high / top.size, of_top.method)
    is_wrong, true = np.zeros(total, dtype=bool), np.full(total, -1)
    codes = {name: code for code, name in enumerate(found.suspects.class_names)}
    for one in looked:
        if one.verdict in WRONG:
            is_wrong[one.position] = True
            true[one.position] = codes.get(one.label, -1)
    places = find_concentrations(found.suspects.given, true, is_wrong, found.suspects.class_names, found.tags)
    return Reviewed(
        len(looked),
        {name: sum(one.verdict == name for one in looked) for name in VERDICTS},
        _over(wrong, total),
        precision,
        decide_cleaning(found.error, _over(due, total), difference=difference),
        places,
        tuple(rows),
    )


def _parts(rows: Sequence[ReviewedRow], is_found: Any) -> list[Part]:
    parts = []
    for name in PARTS:
        of_part = [one for one in rows if one.part == name]
        looked = [one for one in of_part if one.verdict]
        if of_part:
            size = round(sum(one.stands_for for one in of_part))
            parts.append(Part(name, max(size, len(looked)), len(looked), sum(map(is_found, looked))))
    return parts


def _not_drawn(rows: Sequence[ReviewedRow], total: int) -> int:
    """Examples of parts that have no row in the sheet."""
    return max(total - round(sum(one.stands_for for one in rows)), 0)


def _over(count: Interval, total: int) -> Interval:
    return Interval(count.value / total, count.low / total, min(count.high / total, 1.0), count.method)


def corrections(found: Audit, rows: Sequence[ReviewedRow]) -> pl.DataFrame:
    """Columns id, given, label: rows whose label was found wrong; label is null if nobody knows the right one."""
    wrong = [one for one in rows if one.verdict in WRONG]
    names = found.suspects.class_names
    return pl.DataFrame(
        {
            "id": [found.ids[one.position] for one in wrong],
            "given": [names[found.suspects.given[one.position]] for one in wrong],
            "label": [one.label or None for one in wrong],
        },
        schema={"id": pl.String, "given": pl.String, "label": pl.String},
    )


def write_corrections(table: pl.DataFrame, path: Path) -> None:
    """As CSV, safe for spreadsheets."""
    write_bytes(path, csv_of(table.columns, table.iter_rows(named=True)))
