"""improve: see what holds the system back, turn one knob, verify, keep or undo; until the time or the knobs end."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import torch

from gnomon.core.errors import StoppedError, UsageError
from gnomon.core.settings import Settings, fill, from_flat, full_key, with_values
from gnomon.figures.diary import draw_diary
from gnomon.figures.encode import svg
from gnomon.runs import writer
from gnomon.runs.folder import FIGURES, RunFolder, find
from gnomon.runs.seal import MANIFEST
from gnomon.strategy.advice import LINK
from gnomon.strategy.diagnosis import Diagnosis
from gnomon.strategy.improve import (
    HOPELESS,
    LINKS_OF_GAPS,
    PROMISING,
    Evidence,
    can_be_halved,
    compare,
    decide,
    half_of_dev,
    is_settled,
    links_at_fault,
    relative_gain,
)
from gnomon.strategy.improve_diary import Entry, Event, State, changes_key, page, state_of
from gnomon.strategy.improve_turns import Turn, ordered, to_found_rate, turns_of
from gnomon.strategy.ladder import diagnose
from gnomon.strategy.wording import format_error, format_gap
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser
from gnomon.training.state import Counters, TrainingState
from gnomon.workflow.fit import card_of, fit, refuse_changes
from gnomon.workflow.matched import Matched, Outcome, Refused, opened_settings
from gnomon.workflow.prepare import Prepared, prepare, source_of
from gnomon.workflow.rate import range_test
from gnomon.workflow.run import Run, load
from gnomon.workflow.session import open_session
from gnomon.workflow.signals import StopFlag, Stopped, watched
from gnomon.workflow.trial import Trial, Trials

SEEDS = 3  # trainings of each side of a comparison, where hope lasts so long
FIRST_SHARE = 0.45  # of the time at most goes into the first system: the final one needs as much again
WRITING_SECONDS = 4.0  # at least kept for judging and writing the improved system, and of a long time this share:
WRITING_SHARE = 0.02
READINGS = 2.0  # times that the data is read again for it
DIARY_PAGE, DIARY_PICTURE = "diary.md", "diary.svg"


@dataclass(frozen=True)
class Improvement:
    """The improved system, and how it came about."""

    run: Run
    diary: tuple[Entry, ...]

    @property
    def changes(self) -> Mapping[str, Any]:
        """What was kept, full key -> value."""
        return state_of(self.diary).changes


class Budget(Protocol):
    """How much may still be spent."""

    @property
    def deadline(self) -> float:
        """When the last training must be done, on time.monotonic()'s clock."""

    def has_room(self, current: Outcome, times: float) -> bool:
        """Whether a training that costs so many times what `current` did can still be paid."""


@dataclass(frozen=True)
class TimeBudget:
    """Time on the clock, of which enough is kept to judge and write the system as it stands."""

    matched: Matched
    end: float
    limit: float  # seconds that there were at the beginning
    reading: float  # seconds that opening the data took

    @property
    def deadline(self) -> float:
        return self.end - READINGS * self.reading - max(WRITING_SECONDS, WRITING_SHARE * self.limit)

    def has_room(self, current: Outcome, times: float) -> bool:
        return time.monotonic() + self.matched.seconds(current, times) <= self.deadline


@dataclass(frozen=True)
class ComputeBudget:
    """Multiply-adds of all trainings together: what methods are compared at."""

    matched: Matched
    limit: float

    @property
    def deadline(self) -> float:
        return math.inf

    def has_room(self, current: Outcome, times: float) -> bool:
        return self.matched.cost + times * current.cost <= self.limit


def improve(
    thing: Any = None,
    *,
    seconds: float = 1800.0,
    resume: str | Path | None = None,
    test: bool = False,
    preset: Mapping[str, Any] | None = None,
    tell: Callable[[Entry], None] = lambda _entry: None,
    **settings: Any,
) -> Improvement:
    """A first system on `thing` (data, or a run), made better one knob at a time, within `seconds`.

    Each round diagnoses the system as it stands, tries knobs of the link at fault, and keeps a change only where a
    paired test on dev supports it, corrected for the number tried. The result is a run with diary.jsonl and diary.md.
    `resume` goes on with one that was stopped or killed, with the time it had left. `test` opens the test split at the
    end, once. `preset` as in `fit`. Raises UsageError, DataError, BusyError, DivergedError, StoppedError.
    """
    started = time.monotonic()
    with watched() as flag:
        if resume is not None:
            work = _resumed(Path(resume), thing, settings, tell)
        else:
            work = _begun(thing, settings, preset or {}, seconds, started, tell)
        flag.fix = f"continue with: gnomon improve --resume {shlex.quote(str(work.folder.path))}"
        flag.what = "stopped; every step so far is in the diary."
        with work.folder.lock():
            trial = None if work.state.is_over else _improve(work, flag)
        if not work.state.is_final:
            _finish(work, flag, trial)
        run = load(work.folder.path)
        if test:
            _open_test(work, run)
        with run.folder.lock():
            text = page(work.entries, f"How {work.folder.path.name} came about", picture=f"{FIGURES}/{DIARY_PICTURE}")
            writer.write_text(work.folder.path / DIARY_PAGE, text)
            figure = draw_diary(work.entries, error_name=run.task.error_name, unit=run.task.error_unit)
            run.folder.save_figure(DIARY_PICTURE, svg(figure))
    return Improvement(run, tuple(work.entries))


@dataclass
class Work:
    """One improvement on its way."""

    folder: RunFolder
    prepared: Prepared
    opened: Settings
    given: frozenset[str]
    source: Any  # to open again
    end: float  # on time.monotonic()'s clock
    started: float  # likewise, as if there had been one sitting only
    reading: float  # seconds
    tell: Callable[[Entry], None]
    state: State
    entries: list[Entry]

    def note(self, event: Event, text: str, **facts: Any) -> None:
        """Write one step into the diary, act on it, tell of it."""
        entry = Entry(event, text, time.monotonic() - self.started, facts)
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
    """Read the data, make the folder of the system to come."""
    if thing is None:
        raise UsageError("there is nothing to improve.", fix="hand over data or a run: gnomon improve DATA time=30m.")
    if isinstance(thing, Run) or _is_run(thing):
        opened, given, source, task = _from_run(thing if isinstance(thing, Run) else load(thing), values)
    else:
        opened, source, task = from_flat(values), thing, None
        leaves = [
            f"{key}.{leaf}" if leaf else key
            for key, value in values.items()
            for leaf in (value if isinstance(value, Mapping) else ("",))
        ]
        given = frozenset(map(full_key, leaves))
    opened = fill(opened, preset)
    prepared = prepare(source, opened, task)
    session = open_session(prepared, opened, given)
    name = opened.run_name or f"{prepared.source.name}-improved"
    folder = RunFolder.create(Path(opened.runs_folder), session.task.name, name, card_of(session))
    reading = time.monotonic() - started
    work = Work(
        folder, prepared, opened, given, source, started + seconds, started, reading, tell, State(), []
    )  # fmt: skip
    counts = ", ".join(f"{len(part):,} {split.replace('_', '-')}" for split, part in prepared.splits.items())
    work.note("began", f"{prepared.source.origin}: {counts}; {seconds:g} s", limit=seconds)
    return work


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
    return opened, given | {full_key(key) for key in values}, source, type(run.task)


def _resumed(path: Path, source: Any, values: Mapping[str, Any], tell: Callable[[Entry], None]) -> Work:
    """What the diary says, and the data as it was."""
    if values:
        raise UsageError(
            f"an improvement is resumed with the settings it has; {', '.join(values)} cannot be changed.",
            fix="leave them out, or start a new one with them.",
        )
    started = time.monotonic()
    folder = find(path, "runs")
    entries = [Entry.from_json(line) for line in folder.diary.read()]
    if not entries or entries[0].event != "began":
        raise UsageError(
            "has no diary of an improvement.", where=str(path), fix=f"start one: gnomon improve {path} time=30m."
        )
    settings, given = folder.load_settings()
    source = source_of(
        folder.load_data(), source, in_memory="hand it over: gnomon.improve(data, resume=...).",
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
    reading = time.monotonic() - started
    return Work(folder, prepared, opened, given, source, end, began, reading, tell, state, entries)


# --- the loop ---------------------------------------------------------------------------------------------------------
def _improve(work: Work, flag: StopFlag) -> Trial | None:
    """Everything that is tried; the improved system as it was trained, unless no training came to its end."""
    trials = Trials(work.prepared, work.opened, given=work.given)
    matched = Matched(trials, stop_asked=flag.asked)
    flag.patient = True
    try:
        budget = TimeBudget(matched, work.end, work.end - work.started, work.reading)
        Loop(matched, budget, work.state, work.note, work.end, flag.asked).run()
    finally:
        flag.patient = False
    return matched.trial(work.state.changes)


@dataclass
class Loop:
    """Diagnose, turn one knob, verify, keep or undo. Every step goes through `note`, which also moves `state` on."""

    matched: Matched
    budget: Budget
    state: State
    note: Callable[..., None]
    end: float = math.inf
    stop_asked: Callable[[], bool] = lambda: False
    rates: dict[str, float | None] = field(default_factory=dict)  # that range tests suggest, by changes

    def run(self) -> None:
        """Until nothing is left to try or to spend. Raises Stopped when that was asked."""
        current = self._first()
        while current is not None and not self.state.is_over:
            found = self._trained(self.state.changes, self.matched.seeds(1)[0])
            if isinstance(found, Refused):
                self._end(f"the system as it stands could not be trained again: {found.why}")
                return
            current = found
            if not self.state.is_seen:
                self._look(current)
            turn = self._next(current)
            if turn is None:
                return
            self._try(turn, current)
            self.matched.keep_only(self.state.changes)

    def _first(self) -> Outcome | None:
        """The first system, or None where the time is too short to try anything with it."""
        seed = self.matched.seeds(1)[0]
        limit = self.end
        if math.isfinite(self.end):
            limit = time.monotonic() + FIRST_SHARE * (self.end - time.monotonic())
        began = time.monotonic()
        found = self.matched.outcome(self.state.changes, seed, deadline=limit)
        self._leave_if_asked()
        if isinstance(found, Refused):
            if not found.is_out_of_time:
                raise UsageError(f"the first system could not be trained: {found.why}", fix="gnomon check DATA.")
            share = found.epochs_done / max(time.monotonic() - began, 1e-9)  # epochs a second
            self._end("one training takes too long to try anything beside it", epochs_a_second=share)
            return None
        if changes_key({}) not in self.state.tried:
            unit = self.matched.trials.task.error_unit
            text = (
                f"dev {format_error(found.dev_error, unit)}, train {format_error(found.train_error, unit)}, "
                f"{found.seconds:.1f} s"
            )
            facts = {"dev_error": found.dev_error, "train_error": found.train_error, "cost": found.cost}
            self.note("first", text, **facts, training_seconds=found.seconds)
        return found

    def _trained(self, changes: Mapping[str, Any], seed: int) -> Outcome | Refused:
        found = self.matched.outcome(changes, seed, deadline=self.budget.deadline)
        self._leave_if_asked()
        return found

    def _look(self, current: Outcome) -> None:
        """What holds the system back as it stands, and whose knobs that makes it."""
        diagnosis = diagnosis_of_trial(self.matched, current)
        links, reason = links_at_fault(diagnosis)
        gaps = {gap.name: gap.size for gap in diagnosis.gaps}
        further = [LINK[name] for name, size in gaps.items() if size > 0 and LINK[name] in LINKS_OF_GAPS]
        self.note("seen", f"{reason}: knobs of {' and '.join(links) or 'no link'}", links=list(links), further=further,
                  reason=reason, verdict=diagnosis.verdict.text, gaps=gaps, dev_error=current.dev_error,
                  train_error=current.train_error)  # fmt: skip

    def _next(self, current: Outcome) -> Turn | None:
        """The most promising turn that was not tried and can be paid; the other link's when this one has none left."""
        for links in (self.state.links, self.state.further):
            possible = turns_of(links, current.settings)
            if "fit-train" in links:
                possible += to_found_rate(current.settings, self._suggested_rate())
            turns = ordered(possible, self.state.learned)
            new = [
                turn for turn in turns if changes_key({**self.state.changes, **turn.changes}) not in self.state.tried
            ]
            hopeful = [turn for turn in new if turn.expected > 0]
            payable = [turn for turn in hopeful if self.budget.has_room(current, turn.cost)]
            if payable:
                if set(links) - set(self.state.links):
                    text = f"no knob of {' and '.join(self.state.links) or 'that link'} is left to try: now {links[-1]}"
                    self.note("seen", text, links=list(links), further=list(links))
                return payable[0]
            if hopeful:
                self._end("what is left does not allow for another training")
                return None
        self._end("no knob is left that promises anything")
        return None

    def _suggested_rate(self) -> float | None:
        """What a range test says for the system as it stands; measured once for each."""
        key = changes_key(self.state.changes)
        if key not in self.rates:
            trials = self.matched.trials
            session = open_session(
                trials.prepared, with_values(trials.opened, self.state.changes), trials.given, task=trials.task
            )
            test = range_test(session)
            per_example = sum(row.multiply_adds or 0 for row in session.layers)
            self.matched.cost += 3.0 * per_example * len(test.rates) * test.batch_size
            self.rates[key] = test.suggested
        return self.rates[key]

    def _try(self, turn: Turn, current: Outcome) -> None:
        """One knob turned, with as many seeds as there is hope and room for; then kept or undone."""
        label, unit = turn.label(current.settings), self.matched.trials.task.error_unit
        facts: dict[str, Any] = {"name": turn.name, "changes": dict(turn.changes), "link": turn.link, "label": label}
        facts["values_before"] = {key: current.settings.get(key) for key in turn.changes}
        before: list[Outcome] = []
        after: list[Outcome] = []
        evidence: Evidence | None = None
        failed = ""
        for place, seed in enumerate(self.matched.seeds(SEEDS)):
            if place and not self.budget.has_room(current, turn.cost + 1.0):
                break
            base = self._trained(self.state.changes, seed)
            turned = self._trained({**self.state.changes, **turn.changes}, seed)
            if isinstance(base, Refused) or isinstance(turned, Refused):
                failed = "" if after else (turned.why if isinstance(turned, Refused) else "no time was left")
                break
            before.append(base)
            after.append(turned)
            evidence = self._evidence(before, after, confirming=False)
            if is_settled(evidence, number_tried=self.state.number_tried + 1):
                break
        if evidence is None:
            self.note("tried", f"{label}: {failed}", **facts, failed=failed or "not measured", kept=False)
            return
        self._decide(facts, before, after, evidence, unit)

    def _decide(
        self, facts: dict[str, Any], before: list[Outcome], after: list[Outcome], evidence: Evidence, unit: str | None
    ) -> None:
        is_halved = can_be_halved(before[0].evaluations["dev"])
        confirmed = not is_halved
        number = self.state.number_tried + 1
        chosen_by = evidence
        if is_halved and evidence.gain > 0 and evidence.p_value < PROMISING:
            evidence, confirmed = self._evidence(before, after, confirming=True), True
            number = self.state.number_confirmed + 1
        decision = decide(evidence, number_tried=number, unit=unit)
        is_kept = decision.is_kept and confirmed
        why = decision.why
        if not confirmed:
            why = "too little on the half of dev that chooses to ask the other half"
        elif evidence.gain > 0 and evidence.p_value > HOPELESS and len(after) < SEEDS:
            why = f"too little to spend another seed on: p = {evidence.p_value:.2g}"
        error = sum(one.dev_error for one in before) / len(before)
        later = sum(one.dev_error for one in after) / len(after)
        low, high = (format_gap(end, unit).split(" ")[0] for end in (evidence.low, evidence.high))
        seeds = f"{len(after)} seed{'s' if len(after) > 1 else ''}"
        text = (
            f"{facts['label']}: {format_error(error, unit)} -> {format_error(later, unit)} (gain "
            f"{format_gap(evidence.gain, unit)} [{low}, {high}], {seeds}); {why}"
        )
        self.note(
            "tried", text, **facts, kept=is_kept, why=why, seeds=[one.seed for one in after],
            dev_before=[one.dev_error for one in before], dev_after=[one.dev_error for one in after],
            gain=evidence.gain, low=evidence.low, high=evidence.high, p_value=evidence.p_value, level=decision.level,
            confirmed=confirmed and is_halved, relative_gain=relative_gain(chosen_by, error),
            scatter=asdict(evidence.scatter), cost=sum(one.cost for one in after),
            training_seconds=sum(one.seconds for one in after),
        )  # fmt: skip

    def _evidence(self, before: list[Outcome], after: list[Outcome], *, confirming: bool) -> Evidence:
        sides = [[one.evaluations["dev"] for one in side] for side in (before, after)]
        if can_be_halved(sides[0][0]):
            sides = [[half_of_dev(one, confirming=confirming) for one in side] for side in sides]
        return compare(sides[0], sides[1], scatters=self.state.scatters)

    def _end(self, why: str, **facts: Any) -> None:
        self.note("ended", why, why=why, changes=dict(self.state.changes), cost=self.matched.cost, **facts)

    def _leave_if_asked(self) -> None:
        if self.stop_asked():
            raise Stopped


def diagnosis_of_trial(matched: Matched, outcome: Outcome) -> Diagnosis:
    """The ladder of one trial, as a run with its settings would get it."""
    trials = matched.trials
    pairs = trials.prepared.leaks.pairs.filter(pl.col("other_split") == "train")
    leaked = {
        split: pairs.filter(pl.col("split") == split)["id"].cast(one.table["id"].dtype, strict=False).to_list()
        for split, one in outcome.evaluations.items()
        if split != "train"
    }
    return diagnose(
        outcome.evaluations,
        human=trials.opened.goal.human,
        error_name=trials.task.error_name,
        leaked=leaked,
        dev_looks=outcome.looks,
        settings=outcome.settings,
        num_train=len(trials.prepared.splits["train"]),
        seed=trials.opened.seed,
    )


# --- the end ----------------------------------------------------------------------------------------------------------
def _finish(work: Work, flag: StopFlag, trial: Trial | None) -> None:
    """Make the folder that of the improved system: the trial as it was, or what there still is time to train."""
    changes = dict(work.state.changes)
    given = work.given | changes.keys()
    with work.folder.lock():
        if work.folder.latest_checkpoint() is not None:
            pass  # it was killed while this was on its way
        elif trial is not None:
            work.folder.save_settings(trial.settings, given)
            for row in trial.history[len(work.folder.history.read()) :]:
                work.folder.history.append(row)
            work.folder.save_checkpoint(trial.steps, checkpoint_of(trial, len(work.prepared.splits["train"])))
        else:
            work.folder.save_settings(_as_time_allows(work, changes, given), given)
    try:
        run = fit(work.source, resume=work.folder.path)
    except StoppedError as error:
        raise StoppedError(error.what, fix=flag.fix, signal_number=error.exit_code - 128) from None
    diagnosis = run.diagnosis
    errors = {rung.name: rung.error for rung in diagnosis.rungs}
    shown = ", ".join(
        f"{name.replace('_', '-')} {format_error(error, diagnosis.unit)}"
        for name, error in errors.items()
        if name != "human"
    )
    kept = f"{work.state.number_kept} of {work.state.number_tried} changes kept"
    work.note("final", f"{shown}; {kept}", errors=errors, changes=changes)


def _as_time_allows(work: Work, changes: Mapping[str, Any], given: frozenset[str]) -> Settings:
    """The settings of the last training, with no more epochs than there is time for."""
    left = max(work.end - time.monotonic() - work.reading - WRITING_SECONDS, 2.0)
    settings = open_session(work.prepared, with_values(work.opened, changes), given).settings
    late: dict[str, Any] = {"stop.max_time": left}
    rate = work.entries[-1].facts.get("epochs_a_second")
    if rate and settings.stop.epochs:
        late["stop.epochs"] = max(1, min(settings.stop.epochs, int(0.7 * left * rate)))
    return with_values(settings, late)


def checkpoint_of(trial: Trial, num_train: int) -> dict[str, bytes]:
    """The checkpoint of a training that has come to its end: what `fit` judges when it resumes a run with it."""
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
        best={name: tensor.detach().clone() for name, tensor in trial.model.state_dict().items()},
        counters=counters,
    )
    return state.files()


def _open_test(work: Work, run: Run) -> None:
    """Open the test split, unless a former sitting has."""
    if run.folder.openings.read():
        return
    evaluation = run.test(work.source)
    rung = next(rung for rung in run.diagnosis.rungs if rung.name == "test")
    low, high = (format_error(end, evaluation.unit).split(" ")[0] for end in (rung.low, rung.high))
    work.note("test", f"test {format_error(rung.error, evaluation.unit)} [{low}, {high}], opened once",
              error=rung.error, low=rung.low, high=rung.high)  # fmt: skip
