"""compare: the best of several systems by one metric, among those that meet the conditions, and how certain that is."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gnomon.core import settings as all_settings
from gnomon.core.errors import DataError, GnomonError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.options import number, whole
from gnomon.metrics import classification, intervals, regression
from gnomon.metrics.costs import average_over, with_costs
from gnomon.metrics.interval import Interval
from gnomon.runs.names import Place, place_of
from gnomon.strategy.external import read_predictions
from gnomon.strategy.paired import PairedTest, compare_models, holm
from gnomon.strategy.target import Candidate, Choice, Condition, Target, choose, parse_condition, resolve
from gnomon.workflow.ensemble import Ensemble, ensemble_of
from gnomon.workflow.run import Run

TABLES = (".csv", ".parquet", ".pq")
MOST_VALUES = 30  # of a tag whose values' errors are averaged


@dataclass(frozen=True)
class System:
    """One of the things compared: a run, or predictions from elsewhere."""

    name: str
    evaluation: Evaluation
    measures: dict[str, Interval]
    settings: dict[str, Any]
    less_is_better: frozenset[str]  # names of the measures that should be small
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Against:
    """The winner tested against another system that meets the conditions, on the same examples."""

    other: str
    test: PairedTest  # winner minus other: a difference below 0 means that the winner errs less
    p_value: float  # corrected for the number of tests (Holm)


@dataclass(frozen=True)
class Comparison:
    """What was compared by which metric, the winner, and which systems it beats significantly."""

    systems: tuple[System, ...]
    target: Target  # with the names as they were measured
    choice: Choice
    against: tuple[Against, ...]
    optimism: float | None  # the best of several looks better than it is by up to about this much
    differing: dict[str, tuple[Any, ...]]  # setting: its value in each system
    notes: tuple[str, ...]
    unlike: str = ""  # why there is no winner: they were not evaluated on the same dev examples


def compare(
    *things: Place | Ensemble | Condition | Sequence[Place | Ensemble | Condition],
    metric: str = "error",
    conditions: str | Sequence[str | Condition] = (),
    weight: Mapping[str, float | str] | None = None,
    crops: int | str | Sequence[int] = 1,
    seed: int = 0,
) -> Comparison:
    """Compare runs (or tables of predictions) by their dev split; measure latency and size of the runs' models.

    things: two or more, one after the other or as one list; a text with < or > in it is a condition: "latency_ms < 10".
    A text with commas is runs that answer together: "RUN,RUN,RUN". crops: each thing is judged with each of these
    numbers of views of a picture, "1,10" for example.
    metric: what to optimise; weight: by true class, {"dog": 10} makes each of its examples count ten times, in every
    error, metric and test. Raises UsageError for fewer than two, for different tasks, or for a metric that none has.
    """
    each: list[Any] = [one for thing in things for one in (thing if isinstance(thing, list | tuple) else [thing])]
    wanted = [*filter(_is_condition, each), *([conditions] if isinstance(conditions, str) else conditions)]
    candidates = [one for one in each if not _is_condition(one)]
    costs = {name: number(f"weight.{name}", value) for name, value in (weight or {}).items()}
    views = list(crops) if isinstance(crops, list | tuple) else str(crops).split(",")
    if len(candidates) * len(views) < 2:
        raise UsageError(
            "compare needs at least two runs.",
            fix="give folders below runs/ or tables of predictions (gnomon compare RUN RUN), or a run with crops=1,10.",
        )
    asked = tuple(parse_condition(one) if isinstance(one, str) else one for one in wanted)
    opened = [_opened(one, count) for one in candidates for count in views]
    systems = tuple(_system(thing, name, costs) for thing, name in zip(opened, _names(opened), strict=True))
    units = {system.evaluation.unit for system in systems}
    if len(units) > 1:
        raise UsageError(
            "these systems' errors have different units.", fix="compare runs of one task, on the same data."
        )
    known = list(dict.fromkeys(name for system in systems for name in system.measures))
    target = Target(resolve(metric, known), asked)
    choice = choose([Candidate(system.name, system.measures, system.less_is_better) for system in systems], target)
    unlike = _unlike(systems, _identities(opened))
    if unlike:
        choice = replace(choice, winner=None)
    against, notes = _tests(systems, choice, seed)
    optimism = None
    if choice.winner is not None and len(choice.ranked) > 1:
        best = choice.winner.measures[target.metric]
        optimism = (best.high - best.low) / (2 * intervals.Z) * math.sqrt(2 * math.log(len(choice.ranked)))
    notes = [*(note for system in systems for note in system.notes), *notes]
    notes = list(dict.fromkeys(notes))
    return Comparison(systems, target, choice, against, optimism, _differing(systems), tuple(notes), unlike)


def _is_condition(thing: Any) -> bool:
    return isinstance(thing, Condition) or (isinstance(thing, str) and ("<" in thing or ">" in thing))


def _opened(thing: Any, crops: int | str) -> Ensemble | Path:
    if isinstance(thing, str | os.PathLike) and not isinstance(thing, Run):
        path = Path(place_of(thing))
        if path.suffix.lower() in TABLES and not path.is_dir():
            if whole("crops", crops) != 1:
                raise UsageError("a table of predictions has no pictures to crop.", where=str(path), fix="crops=1.")
            return path
    return ensemble_of(thing, crops)


def _names(things: Sequence[Ensemble | Path]) -> list[str]:
    """Folder or file names; whole paths if those are not unique."""
    whole_names = [str(thing) if isinstance(thing, Path) else _whole_name(thing) for thing in things]
    if len(set(whole_names)) < len(whole_names):
        twice = next(name for name in whole_names if whole_names.count(name) > 1)
        raise UsageError("is given twice.", where=twice, fix="give different runs.")
    short = [thing.name for thing in things]
    return short if len(set(short)) == len(short) else whole_names


def _whole_name(thing: Ensemble) -> str:
    return " + ".join(str(run.path) for run in thing.runs) + thing.suffix


def _system(thing: Ensemble | Path, name: str, costs: Mapping[str, float]) -> System:
    if isinstance(thing, Path):
        evaluations = read_predictions(thing)
        if "dev" not in evaluations:
            raise DataError("has no dev rows.", where=str(thing), fix="give predictions of the dev split.")
        dev = with_costs(evaluations["dev"], costs)
        of_classes, by_tag = dev.unit == SHARE, _by_tag(dev)
        scores = classification.scores(dev) if of_classes else regression.scores(dev)
        small = classification.LESS_IS_BETTER if of_classes else regression.LESS_IS_BETTER
        found = {"error": intervals.split_error(dev), **scores, **by_tag}
        return System(name, dev, found, {}, frozenset({"error", *by_tag, *small}))
    from gnomon.workflow.judge.gain import latency_of, unseen
    from gnomon.workflow.predict import mirror_alarms

    first = thing.runs[0]
    dev = with_costs(unseen(thing), costs)
    error = intervals.split_error(dev, seed=first.settings.seed)
    judge, tags = thing.task.judge, _by_tag(dev)
    metrics = judge.metrics(dev)
    measures = {"error": error, **metrics, **tags}
    less = {"error", "latency_ms", *tags, *filter(judge.less_is_better, metrics)}
    notes = tuple(mirror_alarms(thing.members, thing.settings)) if thing.crops > 1 else ()
    try:
        measures["latency_ms"] = latency_of(thing)
    except GnomonError as fault:
        notes = (*notes, f"latency of {name} was not measured: {fault.what}")
    exact = _counted(thing)
    measures |= {key: Interval(value, value, value, "counted") for key, value in exact.items()}
    settings = all_settings.flat(first.settings) if len(thing.runs) == 1 else {}
    return System(name, dev, measures, settings, frozenset({*less, *exact}), notes)


def _counted(thing: Ensemble) -> dict[str, float]:
    """Of all its runs together; each view of a picture goes through the whole network."""
    outcomes = [run.folder.load_outcome() for run in thing.runs]
    layers = [row for outcome in outcomes for row in outcome["layers"]]
    return {
        "size_mb": sum(len(data) for run in thing.runs for data in run.folder.load_model().values()) / 1e6,
        "parameters": float(sum(row["parameters"] for row in layers)),
        "multiply_adds": thing.crops * float(sum(row["multiply_adds"] or 0 for row in layers)),
        "training_seconds": sum(outcome["seconds"] for outcome in outcomes),
    }


def _by_tag(dev: Evaluation) -> dict[str, Interval]:
    """The average over each tag's values, each counting equally, and the worst of them."""
    found: dict[str, Interval] = {}
    for column in dev.table.columns:
        is_few = column.startswith("tag.") and 1 < dev.table[column].drop_nulls().n_unique() <= MOST_VALUES
        if is_few and dev.split_error is None:
            tag = column.removeprefix("tag.")
            found |= {f"{name} error over {tag}": one for name, one in average_over(dev, column).items()}
    return found


def _identities(things: Sequence[Ensemble | Path]) -> list[Any]:
    """The examples of a run's dev split including inputs; None for tables, which have no inputs."""
    import polars as pl

    _is_dev = (pl.col("split") == "dev") | pl.col("split").str.starts_with("fold ")
    return [
        None if isinstance(thing, Path)
        else thing.runs[0].folder.load_splits().filter(_is_dev).select("id", "fingerprint").sort("id").rows()
        for thing in things
    ]  # fmt: skip


def _unlike(systems: Sequence[System], identities: Sequence[Any]) -> str:
    """Which systems were judged on other dev examples than the first one, in a sentence; "" where none was."""
    first, *rest = systems
    ids = first.evaluation.table["id"].cast(str).sort()
    others = [
        system.name
        for system, identity in zip(rest, identities[1:], strict=True)
        if (
            identity != identities[0]
            if identity is not None and identities[0] is not None
            else not system.evaluation.table["id"].cast(str).sort().equals(ids)
        )
    ]
    if not others:
        return ""
    return (
        f"{', '.join(others)} and {first.name} were evaluated on different dev examples: their numbers cannot be "
        f"compared, and none is the best. Fit them on the same data with the same seed and split settings."
    )


def _tests(systems: Sequence[System], choice: Choice, seed: int) -> tuple[tuple[Against, ...], list[str]]:
    """The winner against each other system that meets the conditions."""
    if choice.winner is None or systems[0].evaluation.unit is None:
        return (), []
    by_name = {system.name: system for system in systems}
    winner = by_name[choice.winner.name]
    found: list[tuple[str, PairedTest]] = []
    notes = []
    for candidate in choice.ranked[1:]:
        other = by_name[candidate.name]
        try:
            found.append((other.name, compare_models([winner.evaluation], [other.evaluation], seed=seed)))
        except DataError as fault:
            notes.append(f"{winner.name} and {other.name}: no paired test, {fault.what}")
    corrected = holm([test.p_value for _, test in found])
    return tuple(Against(name, test, p) for (name, test), p in zip(found, corrected, strict=True)), notes


def _differing(systems: Sequence[System]) -> dict[str, tuple[Any, ...]]:
    if not all(system.settings for system in systems):
        return {}
    keys = [key for key in systems[0].settings if key != "run_name"]
    rows = {key: tuple(system.settings.get(key) for system in systems) for key in keys}
    return {key: row for key, row in rows.items() if any(value != row[0] for value in row)}
