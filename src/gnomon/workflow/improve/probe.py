"""probe: what would more data, a larger network, more regularisation gain? Short matched runs that measure it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from gnomon.core import settings as all_settings
from gnomon.core.errors import UsageError
from gnomon.core.options import duration, one_of
from gnomon.core.seeds import generator
from gnomon.core.settings import flat, with_values
from gnomon.figures.encode import svg
from gnomon.figures.learning_curve_forecast import draw_learning_curve_forecast
from gnomon.metrics.intervals import measure
from gnomon.runs.names import Place
from gnomon.strategy.curve import FARTHEST, FORMS, CurvePoint, Forecast, fit_curve, forecast
from gnomon.strategy.improve import LINKS_OF_GAPS, links_at_fault
from gnomon.strategy.improve_probes import Pair, Probes, ranked
from gnomon.strategy.improve_turns import Turn, by_gain, turns_of
from gnomon.strategy.paired import SeedScatter, compare_models, seed_average
from gnomon.strategy.wording import format_error
from gnomon.training.loop import split_error
from gnomon.workflow.improve.matched import Matched, Outcome, Refused, nested_rows, opened_settings
from gnomon.workflow.notebook import line_printer
from gnomon.workflow.prepare import prepare_again
from gnomon.workflow.road.encode import judged_splits
from gnomon.workflow.road.settings import DEFAULTS, recipe
from gnomon.workflow.road.split import TRAIN_RUNG
from gnomon.workflow.road.start import transfer_settings
from gnomon.workflow.road.verdict import judge_run
from gnomon.workflow.run import Run, load
from gnomon.workflow.signals import StopFlag, Stopped, watched
from gnomon.workflow.trial import Trials

SHARES = (0.125, 0.25, 0.5, 1.0)  # of train: nested, each twice the one before
REPEATS = ((0.125, 1), (0.25, 1), (0.5, 1), (0.125, 2), (0.25, 2), (1.0, 1))  # more seeds, the cheap ones first
SMALLEST_SUBSET = 16  # examples: with fewer, the curve starts where chance dominates
CURVE_TIME = 0.45  # of the time, at most, for the learning curve; pairs get the rest
FULL_RUNS = 9.0  # full-length trainings that must fit into the time, otherwise all are shortened
WRITING = 0.15  # of the time reserved for evaluating and writing, at most:
WRITING_SECONDS = 20.0
PAIR_SEEDS = 3
OF_A_START = ("model.name", "transfer.pretrained", "transfer.weights", "transfer.freeze")  # what the epochs depend on
KNOBS = ("fault", "all")
CURVE_PICTURE = "learning-curve.svg"


@dataclass
class Clock:
    """When a training must be done, and how long one takes."""

    started: float
    seconds: float
    full: float  # seconds for a training of the current system

    @property
    def deadline(self) -> float:
        return self.started + self.seconds - min(WRITING_SECONDS, WRITING * self.seconds)

    def has_room(self, times: float, until: float = math.inf) -> bool:
        """Whether a training that takes this many times as long as the current one finishes in time."""
        return monotonic() + times * self.full <= min(self.deadline, until)


@dataclass
class Measured:
    """What has been measured so far."""

    tell: Callable[[str], None]
    points: list[CurvePoint] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)  # of the points
    notes: list[str] = field(default_factory=list)


def probe(
    run: Place,
    *,
    time: float | str = "10m",
    knobs: str = "fault",
    source: Any = None,
    tell: Callable[[str], None] | None = None,
) -> Probes:
    """Measure what changes would gain, store it in the run (probes.json), and diagnose the run again with it.

    `run`: a finished one. `time` is a hard limit: 600, "10m", "1.5h". `knobs`: those of the link at fault, or "all".
    `source` is needed for data that was in memory. `tell` gets one line per result.
    Raises UsageError, DataError, BusyError, StoppedError.
    """
    started, seconds = monotonic(), duration("time", time)
    every_link = one_of("knobs", knobs, KNOBS) == "all"
    opened_run, tell = load(run), tell or line_printer()
    with watched() as flag, opened_run.folder.lock():
        settings, given = opened_run.folder.load_settings()
        outcome = opened_run.folder.load_outcome()
        trials = _trials(opened_run, source, settings, given)
        clock = Clock(started, seconds, float(outcome["training_seconds"]) + 0.1)
        matched = Matched(trials, stop_asked=flag.asked)
        share = _epochs_share(clock)
        first = _as_measured(opened_run) if share >= 1 and outcome["ended_because"] != "max_time" else None
        flag.patient = True
        found = _measure(matched, clock, share, first, opened_run, every_link, Measured(tell), flag)
        with flag.at_once():
            opened_run.folder.save_probes(found)
            if found.points:
                name, unit = opened_run.task.judge.error_name, found.unit
                figure = draw_learning_curve_forecast(found.points, found.forecasts, error_name=name, unit=unit)
                opened_run.folder.save_figure(CURVE_PICTURE, svg(figure))
            judge_run(opened_run, opened_run.evaluations(), examples=judged_splits(trials.base, TRAIN_RUNG))
    return found


def _trials(run: Run, source: Any, settings: all_settings.Settings, given: frozenset[str]) -> Trials:
    prepared = prepare_again(
        run.folder, source, settings, run.task.kind,
        in_memory="pass it: probe(run, source=data).", moved="put it back there.",
    )  # fmt: skip
    return Trials(prepared, opened_settings(settings, given), given=given)


def _epochs_share(clock: Clock) -> float:
    """The share of its epochs that each training gets so that enough of them fit into the time."""
    room = clock.deadline - monotonic()
    if room <= 0:
        raise UsageError("there is no time to measure anything.", fix="give more, such as time=10m.")
    return min(1.0, room / (FULL_RUNS * clock.full))


def _as_measured(run: Run) -> Outcome:
    """The run itself: a trial with its settings and seed gives the same result."""
    outcome, examples = run.folder.load_outcome(), run.folder.load_data()["splits"]["train"]
    multiply_adds = sum(row["multiply_adds"] or 0 for row in outcome["layers"])
    looks = len(run.history)
    return Outcome(
        seed=run.settings.seed,
        evaluations={split: run.evaluation(split) for split in run.folder.saved_predictions() if split != "test"},
        here=run.task.here(run.settings, examples),
        examples=examples,
        cost=3.0 * multiply_adds * examples * looks,
        seconds=outcome["training_seconds"],
        looks=looks,
    )


def _measure(
    matched: Matched, clock: Clock, share: float, first: Outcome | None, run: Run, every_link: bool,
    found: Measured, flag: StopFlag,
) -> Probes:  # fmt: skip
    if share < 1:
        found.notes.append(f"each training has {100 * share:.0f} % of the run's epochs, to keep to the time")
    bases: dict[int, Outcome] = {}
    if first is None:
        base = matched.outcome(_shortened(matched, 1.0, share), matched.seeds(1)[0], deadline=clock.deadline)
        if isinstance(base, Refused):
            raise UsageError(
                f"no training finished in {clock.seconds:g} s: {base.why}.", fix="give more time: time=30m."
            )
        first, clock.full = base, base.seconds
    bases[first.seed] = first
    _learning_curve(matched, clock, share, first, found)
    _leave_if_asked(flag)
    diagnosis = run.diagnosis
    links, reason = (LINKS_OF_GAPS, "all links, as requested") if every_link else links_at_fault(diagnosis)
    found.tell(f"knobs      {', '.join(links) or 'none'}: {reason}")
    pairs = _pairs(matched, clock, share, bases, links, found)
    _leave_if_asked(flag)
    forecasts, forms = _forecasts(found, matched)
    return Probes(
        unit=matched.trials.task.judge.error_unit,
        links=tuple(links),
        reason=reason,
        points=tuple(found.points),
        forecasts=forecasts,
        forms=forms,
        pairs=ranked(pairs),
        epochs_share=share,
        notes=tuple(found.notes),
        seconds=monotonic() - clock.started,
    )


def _leave_if_asked(flag: StopFlag) -> None:
    if flag.asked():
        raise Stopped


# --- learning curve ---------------------------------------------------------------------------------------------------
def _learning_curve(matched: Matched, clock: Clock, share: float, first: Outcome, found: Measured) -> None:
    total = len(matched.trials.prepared.splits["train"])
    if total * SHARES[0] < SMALLEST_SUBSET:
        found.notes.append(f"no learning curve: an eighth of {total:,} training examples is too few to train on")
        return
    seeds = matched.seeds(PAIR_SEEDS)
    _add_point(found, first, matched)
    until = clock.started + CURVE_TIME * clock.seconds
    times = {part: part**0.5 for part in SHARES}  # relative to the full training's seconds, until measured
    wanted = [(part, 0) for part in SHARES[:-1]] + [one for one in REPEATS if one[1] < len(seeds)]
    for part, place in wanted:
        is_needed = place == 0
        if not clock.has_room(times[part], math.inf if is_needed else until):
            if is_needed:
                found.notes.append("no learning curve: there was too little time for its four points")
                return
            continue
        rows = nested_rows(matched.trials.prepared, part, seeds[place]) if part < 1 else None
        outcome = matched.outcome(_shortened(matched, part, share), seeds[place], rows=rows, deadline=clock.deadline)
        if isinstance(outcome, Refused):
            found.notes.append(f"no point at {part:g} of train: {outcome.why}")
            continue
        times[part] = outcome.seconds / clock.full
        _add_point(found, outcome, matched)


def _add_point(found: Measured, outcome: Outcome, matched: Matched) -> None:
    point = CurvePoint(outcome.examples, outcome.dev_error, outcome.seed, outcome.train_error, outcome.cost)
    found.points.append(point)
    found.outcomes.append(outcome)
    error = _error(outcome.dev_error, matched)
    found.tell(f"curve      {point.examples:>9,} examples   dev {error}   seed {point.seed}")


def _shortened(matched: Matched, part: float, share: float, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Epochs for a part of train: what the task fills in for that size, or more, to keep the number of steps up.

    Given epochs grow by the square root: a compromise between equal epochs and equal steps.
    """
    trials = matched.trials
    total = len(trials.prepared.splits["train"])
    given = trials.opened.stop.epochs
    if given is not None:
        epochs = given / math.sqrt(part)
    else:
        count = max(2, round(part * total))
        opened = trials.session(changes).settings if changes else trials.base.settings
        start = {key: value for key, value in flat(opened).items() if key in OF_A_START and value is not None}
        started = with_values(trials.opened, start)
        of_start = transfer_settings(started, trials.task, count)
        by_size = {**DEFAULTS, **recipe(trials.task, started, count), **of_start}
        epochs = by_size["stop.epochs"]
    if given is None and share >= 1:
        return {}
    return {} if part == 1 and share >= 1 else {"stop.epochs": max(1, round(share * epochs))}


def _forecasts(found: Measured, matched: Matched) -> tuple[tuple[Forecast, ...], dict[str, float]]:
    if not found.outcomes:
        return (), {}
    rng = generator(matched.trials.opened.seed, "learning curve")
    variance = [float(measure(outcome.evaluations["dev"]).draws.var()) for outcome in found.outcomes]
    sizes, errors = [point.examples for point in found.points], [point.error for point in found.points]
    curve = fit_curve(sizes, errors, dev_variance=variance, rng=rng)
    if curve is None:
        return (), {}
    forms = {str(form): weight for form, weight in zip(FORMS, curve.weights, strict=True)}
    return tuple(forecast(curve, rng, factor=factor) for factor in (2.0, FARTHEST)), forms


# --- matched pairs ----------------------------------------------------------------------------------------------------
def _pairs(
    matched: Matched, clock: Clock, share: float, bases: dict[int, Outcome], links: tuple[str, ...], found: Measured
) -> list[Pair]:
    """Every turn with the first seed, the most promising first; then all with more seeds while time lasts."""
    first = next(iter(bases.values()))
    turns = by_gain(turns_of(links, first.here))
    base_changes = _shortened(matched, 1.0, share)
    after: dict[str, list[Outcome]] = {}
    failed: dict[str, str] = {}
    for place, seed in enumerate(matched.seeds(PAIR_SEEDS)):
        if place and after and not clock.has_room(1.0 + min(turn.cost for turn in turns)):
            break
        if seed not in bases and after:
            base = matched.outcome(base_changes, seed, deadline=clock.deadline)
            if isinstance(base, Refused):
                break
            bases[seed] = base
        for turn in turns:
            label = turn.label(first.settings)
            if label in failed or len(after.get(label, ())) != place:
                continue
            if not clock.has_room(turn.cost):
                if not place:
                    failed[label] = "there was too little time for it"
                continue
            changes = {**base_changes, **turn.changes}
            if base_changes and "transfer.pretrained" in turn.changes:  # it has a recipe of its own
                changes = {**_shortened(matched, 1.0, share, turn.changes), **turn.changes}
            outcome = matched.outcome(changes, seed, deadline=clock.deadline)
            if isinstance(outcome, Refused):
                if not place:
                    failed[label] = outcome.why
                continue
            after.setdefault(label, []).append(outcome)
            found.tell(
                f"pair       {label}   dev {_error(bases[seed].dev_error, matched)} -> "
                f"{_error(outcome.dev_error, matched)}   seed {seed}"
            )
    return _as_pairs(turns, list(bases.values()), after, failed)


def _as_pairs(
    turns: list[Turn], bases: list[Outcome], after: Mapping[str, list[Outcome]], failed: Mapping[str, str]
) -> list[Pair]:
    first = bases[0]
    scatters: list[SeedScatter] = []
    for results in after.values():
        befores, afters = _devs(bases[: len(results)]), _devs(results)
        scatters.append(compare_models(befores, afters).scatter)
    pairs, place = [], 0
    for turn in turns:
        label = turn.label(first.settings)
        common = (turn.name, label, dict(turn.changes), turn.link, turn.caution)
        if label in failed:
            pairs.append(Pair(*common, 0.0, 0.0, 0.0, 0.0, 1.0, 0, turn.cost, failed[label]))
            continue
        results = after.get(label, [])
        if not results:
            continue
        others = [one for number, one in enumerate(scatters) if number != place]
        place += 1
        befores, afters = _devs(bases[: len(results)]), _devs(results)
        test = compare_models(befores, afters, scatters=others)
        before = split_error(seed_average(befores))
        cost = sum(one.cost for one in results) / max(sum(one.cost for one in bases[: len(results)]), 1e-12)
        pairs.append(
            Pair(*common, before, before - test.difference.value, test.difference.low, test.difference.high,
                 test.p_value, test.seeds, cost)
        )  # fmt: skip
    return pairs


def _devs(outcomes: list[Outcome]) -> list[Any]:
    return [outcome.evaluations["dev"] for outcome in outcomes]


def _error(value: float, matched: Matched) -> str:
    return format_error(value, matched.trials.task.judge.error_unit)
