"""retest: are the settings that an older search found still the best, on today's data?"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gnomon.core.errors import ArtefactError, DataError, DivergedError, UsageError
from gnomon.core.options import whole
from gnomon.core.settings import Settings, from_flat, value_of
from gnomon.data.identity import Changes, compare_splits
from gnomon.runs.journal import Journal
from gnomon.runs.names import LATEST, LEDGER, Place, place_of
from gnomon.runs.search_folder import SEARCH, SearchFolder
from gnomon.search import space as spaces
from gnomon.search.ledger import Ledger, replay
from gnomon.search.results import FINISHED, FIX, Result, ranked
from gnomon.search.space import Space
from gnomon.strategy.improve import Decision, Evidence, compare, decide
from gnomon.strategy.wording import format_gap
from gnomon.workflow.improve.matched import Matched, Outcome
from gnomon.workflow.notebook import line_printer
from gnomon.workflow.prepare import by_split, prepare, source_of
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.signals import Stopped, watched
from gnomon.workflow.trial import Trials

RETESTS = "retests.jsonl"  # in the search's folder: one line per retest
TRIALS = 4  # of the older search that are trained again, the best first
SEEDS = 3
FIRST_SEED = 101  # the search itself used none of these
DEFAULTS = "defaults"


@dataclass(frozen=True)
class RetestedSystem:
    """Settings of the older search, or today's defaults, trained again."""

    name: str  # "trial 7" or DEFAULTS
    settings: Mapping[str, Any]  # by full key, what the search had chosen
    then: float | None  # dev error in the search; None for today's defaults
    errors: tuple[float, ...]  # dev error now, one per seed; empty if it could not be trained
    evidence: Evidence | None = None  # what it gains over the earlier best; None for that one itself
    decision: Decision | None = None
    note: str = ""  # why it could not be trained

    @property
    def mean(self) -> float:
        return sum(self.errors) / len(self.errors) if self.errors else float("inf")


@dataclass(frozen=True)
class Retested:
    """The result of a retest; `systems` has the earlier best first, the others by their error now."""

    search: Path
    created: str
    trials: int  # of the search
    data: str  # its name
    changes: Changes  # in the data since then
    examples: int
    unit: str | None
    seeds: int
    systems: tuple[RetestedSystem, ...]
    is_stale: bool
    verdict: str

    @property
    def winner(self) -> RetestedSystem:
        """What to train with from now on."""
        proven = [one for one in self.systems if one.decision is not None and one.decision.is_proven]
        return min(proven, key=lambda one: one.mean, default=self.systems[0])


def retest(
    search: Place,
    source: Any = None,
    *,
    trials: int | str = TRIALS,
    seeds: int | str = SEEDS,
    tell: Callable[[str], None] | None = None,
) -> Retested:
    """Train the best `trials` of a search and the defaults again, with `seeds` new seeds; say which is best now.

    `source` is where the data is now; by default, where it was. It may have grown or changed: it is split as
    `fit` would split it today. Raises UsageError, DataError, MachineError, BusyError, ArtefactError, DivergedError,
    StoppedError.
    """
    trials, seeds = whole("trials", trials, least=1), whole("seeds", seeds, least=1)
    tell = tell or line_printer()
    with watched() as flag:
        folder = SearchFolder.newest("runs") if place_of(search) == LATEST else SearchFolder.open(search)
        with folder.lock():
            tell("reading")
            older = _older(folder, source)
            flag.patient = True
            matched = Matched(Trials(older.prepared, older.opened, given=older.given), stop_asked=flag.asked)
            numbers = [older.opened.seed + FIRST_SEED + place for place in range(len(matched.seeds(seeds)))]
            wanted = _wanted(older, trials)
            outcomes: dict[str, list[Outcome] | str] = {}
            for one in wanted:
                outcomes[one.name] = _trained(matched, one, numbers, tell)
                if flag.asked():
                    raise Stopped
            unit = matched.trials.task.judge.error_unit
            found = _found(folder, older, _compared(wanted, outcomes, unit), unit, len(numbers))
            time = datetime.now(UTC).isoformat("T", "seconds")
            Journal(folder.path, RETESTS).append({"time": time, **as_json(found)})
            return found


@dataclass(frozen=True)
class _Older:
    """A finished search, and the data as it is now."""

    space: Space
    results: list[Result]
    best: int
    opened: Settings
    given: frozenset[str]
    prepared: Prepared
    changes: Changes


def _older(folder: SearchFolder, source: Any) -> _Older:
    outcome = folder.load_outcome()
    if outcome is None:
        fix = f"gnomon tune --resume {shlex.quote(str(folder.path))}"
        raise UsageError("this search is not finished.", where=str(folder.path), fix=fix)
    space = spaces.from_json(folder.load_search()["space"], str(folder.path / SEARCH))
    ledger = Ledger(folder.ledger, lambda: 0.0)
    replay(ledger, space, str(folder.path / LEDGER))
    recorded, given = folder.run.load_settings()
    opened = from_flat({key: value_of(recorded, key) for key in given})
    where = source_of(
        folder.run.load_data(), source, in_memory="pass it: gnomon.retest(search, data).",
        moved=f"say where it is now: gnomon retest {shlex.quote(str(folder.path))} DATA",
    )  # fmt: skip
    prepared = prepare(where, opened)
    if recorded.task.name is not None and prepared.task.name != recorded.task.name:
        raise DataError(
            f"the search was for {recorded.task.name}, and this is data for {prepared.task.name}.",
            where=prepared.source.origin, fix="give the same data as then, in its current state.",
        )  # fmt: skip
    changes = compare_splits(by_split(folder.run.load_splits()), by_split(prepared.identity()))
    best = outcome["best"]["number"]
    if best not in ledger.results:
        raise ArtefactError(f"its best trial, {best}, is not in the ledger.", where=str(folder.path), fix=FIX)
    return _Older(space, list(ledger.results.values()), best, opened, given, prepared, changes)


def _found(
    folder: SearchFolder, older: _Older, systems: tuple[RetestedSystem, ...], unit: str | None, seeds: int
) -> Retested:
    is_stale, verdict = _verdict(systems, unit)
    examples = sum(len(part) for part in older.prepared.splits.values())
    name, number = older.prepared.source.name, len(older.results)
    return Retested(
        folder.path, folder.run.created, number, name, older.changes, examples, unit, seeds, systems, is_stale, verdict
    )


def _wanted(older: _Older, trials: int) -> list[RetestedSystem]:
    """The earlier best, the next best of those that finished and met its conditions, and the defaults."""
    good = [one for one in ranked(older.results) if one.status == FINISHED and not one.unmet]
    others = [one for one in good if one.number not in (1, older.best)]
    chosen = [*(one for one in good if one.number == older.best), *others][:trials]
    again = [RetestedSystem(_name(one), older.space.changes(one.point), one.error, ()) for one in chosen]
    return again if older.best == 1 else [*again, RetestedSystem(DEFAULTS, {}, None, ())]


def _name(result: Result) -> str:
    return f"trial {result.number}"


def _trained(
    matched: Matched, one: RetestedSystem, seeds: Sequence[int], tell: Callable[[str], None]
) -> list[Outcome] | str:
    """One outcome per seed, or why there is none."""
    found = []
    for place, seed in enumerate(seeds, start=1):
        tell(f"{one.name}, seed {place} of {len(seeds)}")
        outcome = matched.outcome(one.settings, seed)
        if not isinstance(outcome, Outcome):
            return outcome.why
        found.append(outcome)
    return found


def _compared(
    wanted: Sequence[RetestedSystem], outcomes: Mapping[str, list[Outcome] | str], unit: str | None
) -> tuple[RetestedSystem, ...]:
    """With their errors now and what each gains over the earlier best, the level divided by their number."""
    first = outcomes[wanted[0].name]
    if isinstance(first, str):
        raise DivergedError(f"{wanted[0].name}, the earlier best, cannot be trained now: {first}", fix="search again.")
    reference = [one.evaluations["dev"] for one in first]
    found = []
    for one in wanted:
        outcome = outcomes[one.name]
        if isinstance(outcome, str):
            found.append(RetestedSystem(one.name, one.settings, one.then, (), note=outcome))
            continue
        errors = tuple(each.dev_error for each in outcome)
        if one is wanted[0]:
            found.append(RetestedSystem(one.name, one.settings, one.then, errors))
            continue
        evidence = compare(reference, [each.evaluations["dev"] for each in outcome])
        decision = decide(evidence, number_tried=len(wanted) - 1, unit=unit, names=(wanted[0].name, one.name))
        found.append(RetestedSystem(one.name, one.settings, one.then, errors, evidence, decision))
    return (found[0], *sorted(found[1:], key=lambda one: one.mean))


def _verdict(systems: Sequence[RetestedSystem], unit: str | None) -> tuple[bool, str]:
    best, others = systems[0], [one for one in systems[1:] if one.evidence is not None]
    proven = [one for one in others if one.decision is not None and one.decision.is_proven]
    if proven:
        now = min(proven, key=lambda one: one.mean)
        assert now.decision is not None
        return True, f"stale: now {now.decision.why}"
    ahead = [one for one in others if one.mean < best.mean]
    if not ahead:
        return False, f"{best.name} is still the best of these"
    gain = format_gap(best.mean - ahead[0].mean, unit)
    return False, f"{best.name} may still be the best: {ahead[0].name} errs {gain} less, which may be chance"


def as_json(found: Retested) -> dict[str, Any]:
    """Plain JSON values."""
    return {
        "search": str(found.search),
        "data": found.data,
        "changes": asdict(found.changes),
        "examples": found.examples,
        "unit": found.unit,
        "seeds": found.seeds,
        "stale": found.is_stale,
        "verdict": found.verdict,
        "winner": found.winner.name,
        "settings": dict(found.winner.settings),
        "systems": [
            {
                "name": one.name, "then": one.then, "errors": list(one.errors), "note": one.note,
                "gain": None if one.evidence is None else {
                    "value": one.evidence.gain, "low": one.evidence.test.difference.low,
                    "high": one.evidence.test.difference.high, "p_value": one.evidence.p_value,
                },
            }
            for one in found.systems
        ],
    }  # fmt: skip
