"""Folds: one run of several trainings, each judged on the examples that it did not see; their models predict together.

The folder of the run has what any run has: predictions of all folds in one table per split, one diagnosis, one report.
Each fold trains in a folder of its own below `folds/`, with its own facts, checkpoints and history, and is left alone
once its model is there; so a run that was stopped goes on in the fold where it was.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.example import Examples
from gnomon.core.own import Own
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings, with_values
from gnomon.metrics.intervals import inflation_of
from gnomon.runs.folder import RunFolder
from gnomon.runs.records import HistoryRow
from gnomon.training.evaluate import Member, evaluate
from gnomon.training.state import load_model
from gnomon.training.threads import using
from gnomon.workflow.judge.floor import floor_of_folds
from gnomon.workflow.road.build import Session, device_of, own_threads_and_randomness, placed
from gnomon.workflow.road.card import card_of
from gnomon.workflow.road.encode import encode, joined_parts, judged_by_folds
from gnomon.workflow.road.follow import Follower, Ready
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.road.train import train_model
from gnomon.workflow.road.write import model_files, outcome_of
from gnomon.workflow.run import Run
from gnomon.workflow.session import open_session
from gnomon.workflow.signals import StopFlag
from gnomon.workflow.system import System, of_folds


@dataclass(frozen=True)
class Whole:
    """What all folds have in common."""

    prepared: Prepared  # with the folds
    settings: Settings  # filled in, as the run has them
    given: frozenset[str]
    own: Own
    started: float  # on time.monotonic()'s clock

    def settings_of(self, number: int, folds_left: int) -> Settings:
        """Of the fold of that number, from 0: its own seed, and its share of the time that is left."""
        changes: dict[str, Any] = {} if number == 0 else {"seed": derive(self.settings.seed, "fold", number)}
        limit = self.settings.stop.max_time
        if limit is not None:
            changes["stop.max_time"] = max(1.0, (limit - (time.monotonic() - self.started)) / folds_left)
        return with_values(self.settings, changes)


def refuse_own_network(own: Own) -> None:
    """Raises UsageError: each fold starts from weights of its own, and a network of the user's has one start."""
    if own.module is not None:
        raise UsageError("folds train several networks, and yours is one.", fix="leave folds out, or model=.")


def start_folds(prepared: Prepared, first: Session, own: Own, follower: Follower, flag: StopFlag) -> Run:
    """A new run; `first` is the session of the first fold, whose settings all folds have."""
    settings = first.settings
    positive = first.system(first.task)[0].facts()["head"].get("aim", {}).get("positive")
    if positive:  # the rarer of two classes may be another one in another fold
        settings = with_values(settings, {"goal.positive": positive})
    prepared = replace(prepared, notes=first.prepared.notes)
    whole = Whole(prepared, settings, first.given, own, first.started)
    name = settings.run_name or prepared.source.name
    card = card_of(replace(first, prepared=prepared, settings=settings))
    folder = RunFolder.create(Path(settings.runs_folder), first.task.name, name, card)
    with folder.lock():
        return train_folds(folder, whole, follower, flag)


def train_folds(folder: RunFolder, whole: Whole, follower: Follower, flag: StopFlag, *, go_on: bool = False) -> Run:
    """Every fold that has no model yet, or that time cut short if it may now `go_on`; then all of it is judged."""
    flag.to_continue(folder.path)
    folds = len(whole.prepared.folds)
    is_announced = False
    for number in range(folds):
        part = folder.part(number + 1)
        is_cut = part.is_trained and go_on and part.load_outcome()["ended_because"] == "max_time"
        if part.is_trained and not is_cut:
            continue
        settings = whole.settings_of(number, folds - number)
        prepared = whole.prepared.fold(number)
        session = open_session(prepared, settings, whole.given, whole.own, time.monotonic())
        hears = _OfFold(follower, number + 1, whole.prepared, folder.path, is_announced)
        with part.lock(), own_threads_and_randomness(session):
            state = train_model(encode(session, part.path), part, hears, flag, resumed=True, go_on=is_cut)
            load_model(session.model, state.best)
            part.save_model(model_files(*session.system(session.task), session.settings))
            part.save_outcome(outcome_of(session, state))
        is_announced = True
    flag.what = "stopped after training, before everything was measured and written."
    with flag.at_once(), using(whole.settings.machine.threads):
        return _judge_folds(folder, whole, follower)


@dataclass(frozen=True)
class _OfFold:
    """Tells a follower of a fit what happens in a fold: one start for all folds, and rows that say which fold it is."""

    follower: Follower
    number: int
    whole: Prepared
    folder: Path
    is_announced: bool

    def on_phase(self, text: str) -> None:
        self.follower.on_phase(text)

    def on_ready(self, ready: Ready) -> None:
        if not self.is_announced:
            prepared = replace(ready.prepared, splits=self.whole.splits, folds=self.whole.folds)
            self.follower.on_ready(replace(ready, prepared=prepared, folder=self.folder))

    def on_begun(self, begun: Any) -> None:
        self.follower.on_begun(begun)

    def on_nudge(self, row: Mapping[str, Any]) -> None:
        self.follower.on_nudge(row)

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        self.follower.on_step(epoch, batch, num_batches, loss)

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        self.follower.on_epoch({**row, "fold": self.number})


# --- the end ----------------------------------------------------------------------------------------------------------
def _judge_folds(folder: RunFolder, whole: Whole, follower: Follower) -> Run:
    follower.on_phase("judging")
    parts = [folder.part(number + 1) for number in range(len(whole.prepared.folds))]
    members = [_member(part, whole) for part in parts]
    dev, shown = _judged(members, whole, "dev")
    tasks = [one.task.calibrate(dev) for one in members]
    if any(task != one.task for task, one in zip(tasks, members, strict=True)):
        members = [replace(one, task=task) for one, task in zip(members, tasks, strict=True)]
        dev, shown = _judged(members, whole, "dev")
    train, seen = _judged(members, whole, "train")
    evaluations = {"train": train, "dev": dev}
    follower.on_phase("measuring cheap references")
    floor = floor_of_folds(members[0].task, whole.prepared, dev, whole.settings)
    follower.on_phase("writing the report")
    if floor is not None:
        folder.save_floor(floor)
    files = [model_files(one.task, one.model, whole.settings_of(number, 1)) for number, one in enumerate(members)]
    folder.save_model(of_folds(files))
    for name, evaluation in evaluations.items():
        folder.save_predictions(name, evaluation.table)
    folder.history.keep_first(0)
    rows = mean_history([part.history.read() for part in parts])
    for row in rows:
        folder.history.append(row)
    folder.save_outcome(_outcome(parts, len(rows), max(rows, key=lambda row: (row["best"], row["epoch"]))["epoch"]))
    run = Run(folder, members[0].task.kind, Own(loss=members[0].task.loss))
    if "test" in folder.saved_predictions():  # a finished run, resumed: what was opened stays opened
        evaluations["test"] = run.evaluation("test")
    from gnomon.workflow.road.verdict import judge_run  # half the strategy room: nothing to wait for before

    judge_run(run, evaluations, examples={"train": seen, "dev": shown})
    return run


def _member(part: RunFolder, whole: Whole) -> Member:
    """The trained model of a fold, on its device."""
    system = System(part.load_model(), str(part.path), kind=whole.prepared.task, own=whole.own)
    device = device_of(whole.settings.machine.device)
    return Member(system.task, placed(system.model, device))


def _judged(members: Sequence[Member], whole: Whole, split: str) -> tuple[Evaluation, Examples]:
    """One table of what each member says of its part of train, and the examples of the table, in its order."""
    prepared, judge, seed = whole.prepared, members[0].task.judge, whole.settings.seed
    parts = judged_by_folds(prepared, judge, split, seed)
    tables = [
        evaluate(
            one.task, one.model, part.examples, split=split, source=prepared.source.name,
            device=next(one.model.parameters()).device,
        ).table.with_columns(pl.Series("_row", part.rows))
        for one, part in zip(members, parts, strict=True)
        if len(part.rows)
    ]  # fmt: skip
    table = pl.concat(tables, how="diagonal").sort("_row").drop("_row")
    found = Evaluation(split, judge.error_unit, table, judge.split_error(table), inflation_of(len(members)))
    return found, joined_parts(parts, prepared.splits["train"])


def mean_history(folds: Sequence[Sequence[HistoryRow]]) -> list[HistoryRow]:
    """A row per epoch: the mean over the folds that came so far, and whether no earlier one had a lower dev error."""
    found: list[HistoryRow] = []
    for epoch in range(max(map(len, folds))):
        rows = [rows[epoch] for rows in folds if epoch < len(rows)]
        row: dict[str, Any] = {**rows[0], "seconds": float(sum(one.get("seconds", 0.0) for one in rows))}
        for name in ("train_loss", "train_error", "dev_error", "examples_per_second"):
            row[name] = float(np.mean([float(one.get(name, 0.0)) for one in rows]))  # type: ignore[arg-type]
        for name in ("dev_low", "dev_high"):  # of one fold's few examples
            row.pop(name, None)
        row["best"] = not found or row["dev_error"] <= min(one["dev_error"] for one in found)
        found.append(row)  # type: ignore[arg-type]
    return found


def _outcome(parts: Sequence[RunFolder], epochs: int, best: int) -> dict[str, Any]:
    """Of one training on the average; times are of all of them."""
    each = [part.load_outcome() for part in parts]
    cut = next((one for one in each if one["ended_because"] == "max_time"), each[0])
    return {
        "seconds": sum(one["seconds"] for one in each),
        "steps": round(float(np.mean([one["steps"] for one in each]))),
        "best_epoch": best,
        "ended_because": cut["ended_because"],
        "training_seconds": sum(one.get("training_seconds", 0.0) for one in each),
        "dev_looks": epochs,
        "layers": each[0]["layers"],
    }
