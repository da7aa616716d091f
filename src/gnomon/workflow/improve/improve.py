"""improve: see what limits the system, turn one knob, verify, keep or undo; until time or knobs run out."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Unpack

import torch

from gnomon.core.errors import StoppedError, UsageError
from gnomon.core.options import duration, is_yes
from gnomon.core.settings import Settings, fill, from_flat, full_key, refuse_idle, with_values
from gnomon.figures.diary import draw_diary
from gnomon.figures.encode import svg
from gnomon.runs import writer
from gnomon.runs.folder import RunFolder, find
from gnomon.runs.names import FIGURES, LATEST, REPORT, Place
from gnomon.runs.seal import MANIFEST
from gnomon.strategy.improve_diary import Entry, Event, State, kept_summary, page, state_of
from gnomon.strategy.wording import format_error
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser
from gnomon.training.state import Counters, TrainingState, own_tensors
from gnomon.workflow.fit import fit
from gnomon.workflow.improve.loop import WRITING_SECONDS, Loop, TimeBudget
from gnomon.workflow.improve.matched import Matched, finished_trial, opened_settings
from gnomon.workflow.looks import looks_at_dev
from gnomon.workflow.made import with_ladder
from gnomon.workflow.notebook import diary_printer
from gnomon.workflow.prepare import prepare, refuse_changes, source_of
from gnomon.workflow.road.card import card_of
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.road.open import given_keys, reopening, with_target
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.run import Run, load
from gnomon.workflow.session import here_of, open_session
from gnomon.workflow.signals import StopFlag, watched
from gnomon.workflow.trial import Trial, Trials
from gnomon.workflow.words import ImproveWords, spelled_out

DIARY_PAGE, DIARY_PICTURE = "diary.md", "diary.svg"


@dataclass(frozen=True)
class Improvement:
    """The improved system, and how it was reached."""

    run: Run
    diary: tuple[Entry, ...]

    @property
    def changes(self) -> Mapping[str, Any]:
        """What was kept, full key -> value."""
        return state_of(self.diary).changes

    @property
    def unproven(self) -> frozenset[str]:
        """Keys of `changes` that no test supports: they looked better, and nothing contradicts them."""
        return frozenset(state_of(self.diary).unproven)


@spelled_out(ImproveWords)
def improve(
    source: Any = None,
    /,
    target: Any = None,
    *,
    time: float | str | None = None,
    resume: Place | None = None,
    test: bool | str = False,
    preset: Mapping[str, Any] | None = None,
    tell: Callable[[Entry], None] | None = None,
    **settings: Unpack[ImproveWords],
) -> Improvement:
    """A first system on `source`, improved one knob at a time within `time`: 1800, "30m" (as without it), "1.5h".

    `source`: what `gnomon.fit` takes, with `target` as there, or a run; if the latest run is of this source, the
    improvement starts from that, and `latest` never points at a result that is worse. Each round diagnoses the current
    system and tries knobs of the link at fault. A change is proven if a paired test on dev supports it, corrected for
    the number tried; one that is more likely better than not stays on trial, and at the end all on trial are tested
    together. The result is a run with diary.jsonl and diary.md.
    `resume` continues one that was stopped or killed, with its remaining time. `test` opens the test split at the
    end, once. `preset` as in `fit`. Raises UsageError, DataError, BusyError, DivergedError, StoppedError.
    """
    tell = tell or diary_printer()
    started, is_tested = monotonic(), is_yes("test", test)
    if resume is not None and time is not None:
        raise UsageError("a resumed improvement keeps its remaining time; time cannot be changed.", fix="leave it out.")
    seconds = duration("time", time if time is not None else "30m")
    source, values = with_target(source, target, settings)
    with watched() as flag:
        base = None if resume is not None else _base(source, values)
        if resume is not None:
            work = _resumed(resume, source, values, tell)
        else:
            _require_time(base, values, seconds)
            work = _begun(base or source, values, preset or {}, seconds, started, tell)
            work.base = base
        flag.fix = f"continue with: gnomon improve --resume {shlex.quote(str(work.folder.path))}"
        flag.what = "stopped; every step so far is in the diary."
        with work.folder.lock():
            trial = None if work.state.is_over else _improve(work, flag)
        if not work.state.is_final:
            _finish(work, flag, trial)
        run = load(work.folder.path)
        if base is not None and _dev_error(run) > _dev_error(base):
            base.folder.make_latest()  # what was there stays the one to work with
        if is_tested:
            _open_test(work, run)
        with run.folder.lock():
            text = page(work.entries, f"How {work.folder.path.name} was improved", picture=f"{FIGURES}/{DIARY_PICTURE}")
            writer.write_text(work.folder.path / DIARY_PAGE, text)
            figure = draw_diary(work.entries, error_name=run.task.judge.error_name, unit=run.task.judge.error_unit)
            run.folder.save_figure(DIARY_PICTURE, svg(figure))
    return Improvement(run, tuple(work.entries))


@dataclass
class Work:
    """An improvement in progress."""

    folder: RunFolder
    prepared: Prepared
    opened: Settings
    given: frozenset[str]
    source: Any  # to open it again
    end: float  # on time.monotonic()'s clock
    started: float  # on the same clock, as if there had been only one session
    reading: float  # seconds that reading the data takes
    tell: Callable[[Entry], None]
    state: State
    entries: list[Entry]
    base: Run | None = None  # the run that it starts from

    def note(self, event: Event, text: str, **facts: Any) -> None:
        """Write one step to the diary, apply it, report it."""
        entry = Entry(event, text, monotonic() - self.started, facts)
        with self.folder.lock():
            self.folder.diary.append(entry.to_json())
        self.entries.append(entry)
        self.state.take(entry)
        self.tell(entry)


# --- beginning --------------------------------------------------------------------------------------------------------
def _begun(
    thing: Any, values: Mapping[str, Any], preset: Mapping[str, Any], seconds: float, started: float,
    tell: Callable[[Entry], None],
) -> Work:  # fmt: skip
    """Read the data, create the folder of the improved system."""
    if thing is None:
        raise UsageError("there is nothing to improve.", fix="give data or a run: gnomon improve DATA time=30m.")
    looks = 0
    if isinstance(thing, Run) or _is_run(thing):
        run = thing if isinstance(thing, Run) else load(thing)
        opened, given, source, task = _from_run(run, values)
        looks = looks_at_dev(run.folder)
    else:
        opened, source, task = from_flat(values), thing, None
        given = given_keys(values)
    opened = fill(opened, preset)
    prepared = prepare(source, opened, task)
    session = open_session(prepared, opened, given)
    if task is None:  # of a run, the settings have done something already
        refuse_idle(given, here_of(session), session.task.kind.title)
    name = opened.run_name or f"{prepared.source.name}-improved"
    folder = RunFolder.create(Path(opened.runs_folder), session.task.name, name, card_of(session))
    reading = monotonic() - started
    work = Work(
        folder, prepared, opened, given, source, started + seconds, started, reading, tell, State(), []
    )  # fmt: skip
    counts = ", ".join(f"{len(part):,} {split.replace('_', '-')}" for split, part in prepared.splits.items())
    work.note("began", f"{prepared.source.origin}: {counts}; {seconds:g} s", limit=seconds, looks=looks)
    return work


def _base(thing: Any, values: Mapping[str, Any]) -> Run | None:
    """The run to start from: the one given, or the latest if it is of the same data."""
    if isinstance(thing, Run):
        return thing
    if _is_run(thing):
        return load(thing)
    runs = Path(from_flat(values).runs_folder)
    place = reopening(thing) if isinstance(thing, str | Path) else None
    if place is None or not os.path.lexists(runs / LATEST):
        return None
    folder = find(LATEST, runs)
    if folder.is_craft or not (folder.path / REPORT).is_file() or folder.load_data()["reopen"] != place:
        return None
    run = load(folder.path)
    return None if run.folds else run  # changes are tried on one dev split


def _require_time(base: Run | None, values: Mapping[str, Any], seconds: float) -> None:
    """Raises UsageError if the time is too short to try one change to the run to start from."""
    if base is None or values:  # other settings may take another time
        return
    training = base.folder.load_outcome().get("training_seconds", 0.0)
    needed = training + WRITING_SECONDS
    if needed > seconds:
        raise UsageError(
            f"{seconds:g} s are too short to try one change: a training of this run takes "
            f"{training:.0f} s, and each change takes at least one.",
            where=str(base.path),
            fix=f"give time={math.ceil(4 * needed / 60)}m or more.",
        )


def _dev_error(run: Run) -> float:
    return next((rung.error for rung in run.diagnosis.rungs if rung.name == "dev"), math.inf)


def _is_run(thing: Any) -> bool:
    if not isinstance(thing, str | Path):
        return False
    return str(thing) == "latest" or (Path(thing) / MANIFEST).is_file()


def _from_run(run: Run, values: Mapping[str, Any]) -> tuple[Settings, frozenset[str], Any, Any]:
    settings, given = run.folder.load_settings()
    opened = with_values(opened_settings(settings, given), {full_key(key): value for key, value in values.items()})
    source = source_of(
        run.folder.load_data(), None, in_memory="improve the data itself: gnomon.improve(data).",
        moved="put it back there.",
    )  # fmt: skip
    return opened, given | {full_key(key) for key in values}, source, run.task.kind


def _resumed(path: Place, source: Any, values: Mapping[str, Any], tell: Callable[[Entry], None]) -> Work:
    """What the diary says, and the data as it was."""
    if values:
        raise UsageError(
            f"a resumed improvement keeps its settings; {', '.join(values)} cannot be changed.",
            fix="leave them out, or start a new one with them.",
        )
    started = monotonic()
    folder = find(path, "runs")
    entries = folder.load_diary()
    if not entries or entries[0].event != "began":
        raise UsageError(
            "has no diary of an improvement.", where=str(path), fix=f"start one: gnomon improve {path} time=30m."
        )
    settings, given = folder.load_settings()
    source = source_of(
        folder.load_data(), source, in_memory="pass it: gnomon.improve(data, resume=...).",
        moved="put it back there.",
    )  # fmt: skip
    state = state_of(entries)
    opened = fill(
        opened_settings(settings, given - state.changes.keys()), {"machine.allocator": settings.machine.allocator}
    )
    prepared = prepare(source, opened)
    refuse_changes(folder, prepared)
    began = started - state.seconds
    end = began + float(entries[0].facts["limit"])
    reading = monotonic() - started
    return Work(folder, prepared, opened, given, source, end, began, reading, tell, state, entries)


# --- improving --------------------------------------------------------------------------------------------------------
def _improve(work: Work, flag: StopFlag) -> Trial | None:
    """Try everything; returns the improved system as trained, unless no training finished."""
    trials = Trials(work.prepared, work.opened, given=work.given)
    matched = Matched(trials, stop_asked=flag.asked)
    trained = None if work.base is None else finished_trial(work.base, trials)
    if trained is not None:
        matched.start_from(trained)
    flag.patient = True
    try:
        budget = TimeBudget(matched, work.end, work.end - work.started, work.reading)
        Loop(matched, budget, work.state, work.note, work.end, flag.asked).run()
    finally:
        flag.patient = False
    return matched.trial(work.state.changes)


# --- the end ----------------------------------------------------------------------------------------------------------
def _finish(work: Work, flag: StopFlag, trial: Trial | None) -> None:
    """Turn the folder into that of the improved system: the trial as it was, or a training in the remaining time."""
    changes = dict(work.state.changes)
    given = work.given | changes.keys()
    with work.folder.lock():
        is_begun = work.folder.latest_checkpoint() is not None  # and was killed on its way: `fit` continues it
        if not is_begun and trial is not None:
            work.folder.save_settings(trial.settings, given)
            for row in trial.history[len(work.folder.history.read()) :]:
                work.folder.history.append(row)
            work.folder.save_checkpoint(trial.steps, checkpoint_of(trial, len(work.prepared.splits["train"])))
        elif not is_begun:
            work.folder.save_settings(_as_time_allows(work, changes, given), given)
    try:
        run = with_ladder(fit(work.source, resume=work.folder.path, follower=Silent()))
    except StoppedError as error:
        raise StoppedError(error.what, fix=flag.fix, signal_number=error.exit_code - 128) from None
    diagnosis = run.diagnosis
    errors = {rung.name: rung.error for rung in diagnosis.rungs}
    shown = ", ".join(
        f"{name.replace('_', '-')} {format_error(error, diagnosis.unit)}"
        for name, error in errors.items()
        if name != "human"
    )
    work.note("final", f"{shown}; {kept_summary(work.entries)}", errors=errors, changes=changes,
              unproven=list(work.state.unproven))  # fmt: skip


def _as_time_allows(work: Work, changes: Mapping[str, Any], given: frozenset[str]) -> Settings:
    """The settings of the last training, with no more epochs than there is time for."""
    left = max(work.end - monotonic() - work.reading - WRITING_SECONDS, 2.0)
    settings = open_session(work.prepared, with_values(work.opened, changes), given).settings
    late: dict[str, Any] = {"stop.max_time": left}
    rate = work.entries[-1].facts.get("epochs_a_second")
    if rate and settings.stop.epochs:
        late["stop.epochs"] = max(1, min(settings.stop.epochs, int(0.7 * left * rate)))
    return with_values(settings, late)


def checkpoint_of(trial: Trial, num_train: int) -> dict[str, bytes]:
    """The checkpoint of a finished training: what `fit` evaluates when it resumes a run with it."""
    parameters = FlatParameters(trial.model)
    settings = trial.settings
    best = max((place for place, row in enumerate(trial.history) if row["best"]), default=-1)
    counters = Counters(
        step=trial.steps,
        epoch=len(trial.history),
        seconds=float(trial.seconds),
        best_error=float(trial.history[best]["dev_error"]) if trial.history else math.inf,
        best_epoch=best,
        looks=len(trial.history),
        finished=True,
        ended_because=trial.ended_because,
    )
    state = TrainingState(
        model=trial.model,
        parameters=parameters,
        optimiser=Optimiser(parameters, settings.optimiser, settings.regularise, num_train),
        augmentation=torch.Generator(),
        average=parameters.copies() if settings.regularise.ema else [],
        best={name: tensor.detach().clone() for name, tensor in own_tensors(trial.model).items()},
        counters=counters,
    )
    return state.files()


def _open_test(work: Work, run: Run) -> None:
    """Open the test split, unless an earlier session did."""
    if run.folder.num_openings:
        return
    evaluation = run.test(work.source)
    rung = next(rung for rung in run.diagnosis.rungs if rung.name == "test")
    low, high = (format_error(end, evaluation.unit).split(" ")[0] for end in (rung.low, rung.high))
    work.note("test", f"test {format_error(rung.error, evaluation.unit)} [{low}, {high}], opened once",
              error=rung.error, low=rung.low, high=rung.high)  # fmt: skip
