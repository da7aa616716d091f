"""tune: search settings by trials, coarse to fine; train the best again; say how far to trust it."""

from __future__ import annotations

import shlex
import time as clock
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from gnomon.core.errors import UsageError
from gnomon.core.options import duration, is_yes, whole
from gnomon.core.settings import fill, from_flat, full_key, refuse_idle, value_of
from gnomon.runs.names import LATEST, Place, place_of
from gnomon.runs.search_folder import SEARCH, SearchFolder
from gnomon.search import space as spaces
from gnomon.search.default_space import divided_values, space_of
from gnomon.strategy.target import Condition, parse_condition, resolve
from gnomon.workflow.prepare import prepare, refuse_changes, source_of
from gnomon.workflow.road.card import card_of
from gnomon.workflow.road.open import findable, with_target
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.session import here_of, open_session
from gnomon.workflow.signals import StopFlag, watched
from gnomon.workflow.tune.driver import Driver
from gnomon.workflow.tune.findings import Tuned
from gnomon.workflow.tune.notebook import search_follower
from gnomon.workflow.tune.plan import Follower, placed, planned, to_json
from gnomon.workflow.tune.worker import known_measures
from gnomon.workflow.tune.workers import MOST_WORKERS, processors
from gnomon.workflow.words import TuneWords, spelled_out

TRIALS = 40
SAMPLERS = ("zoom", "random", "grid", "tpe")
HINT = "; a column to split by time is given as data.time=COLUMN"  # what else time= could mean
REPEATS = 3  # seeds with which the best settings, and the defaults, are trained again


@spelled_out(TuneWords)
def tune(
    source: Any = None,
    /,
    target: Any = None,
    *,
    trials: int | str | None = None,
    time: float | str | None = None,
    workers: int | str | None = None,
    satisfy: str | Sequence[str] = (),
    sampler: str = "zoom",
    stop_early: bool | str = True,
    repeats: int | str = REPEATS,
    resume: Place | None = None,
    follower: Any = None,
    preset: Mapping[str, Any] | None = None,
    **settings: Unpack[TuneWords],
) -> Tuned:
    """Search for the settings with the lowest dev error on `source`, and train with them.

    `source` and `target` as in `gnomon.fit`. `trials`: how many settings to try (40). `time`: for the whole search:
    1800, "30m". `workers`: parallel processes; by default one per processor, at most 8, and one for data in memory.
    `satisfy`: conditions that the best must meet ("latency_ms <= 10"). `sampler`: "zoom" (random, coarse to fine),
    "random", "grid" (for comparison) or "tpe" (Optuna). `stop_early`: stop trials by the median rule. `repeats`: seeds
    with which the best settings and the defaults are trained again.
    A setting with one value is the same for all trials; with a range ("1e-4..1e-1") or choices ("cosine,constant") it
    varies as given; the others vary by default (`Plan.space`), or not at all.
    `resume` continues a search that was stopped or killed, and returns a finished one unchanged.

    Raises UsageError (also if no trial meets the conditions), DataError, MachineError, BusyError, ArtefactError,
    DivergedError (if every trial did), StoppedError.
    """
    follower, started = search_follower(follower), clock.monotonic()
    trials, workers = (
        None if value is None else whole(key, value) for key, value in (("trials", trials), ("workers", workers))
    )
    repeats, stop_early = whole("repeats", repeats), is_yes("stop_early", stop_early)
    seconds = None if time is None else duration("time", time, HINT)
    source, values = with_target(source, target, settings)
    with watched() as flag:
        if resume is not None:
            changed = [
                *values,
                *(name for name, value in (("trials", trials), ("time", seconds)) if value is not None),
            ]
            changed += ["satisfy"] if satisfy else []
            if changed:
                raise UsageError(
                    f"a resumed search keeps its settings; {', '.join(changed)} cannot be changed.",
                    fix="leave it out (workers= may change), or start a new search.",
                )
            return _resume(resume, source, workers, preset or {}, follower, flag, started)
        if source is None:
            raise UsageError("there is nothing to search on.", fix="give data: gnomon tune DATA.")
        _check(trials, sampler)
        fixed, varied = divided_values(values)
        opened = findable(fill(from_flat(fixed), preset or {}))
        follower.on_phase("reading")
        prepared = prepare(source, opened)
        given = frozenset(map(full_key, fixed))
        session = open_session(prepared, opened, given, started=started)
        refuse_idle(given, here_of(session), session.task.kind.title)
        conditions = _conditions(satisfy)
        if conditions:
            known = known_measures(session)
            for one in conditions:
                resolve(one.name, known)
        space = space_of(here_of(session), varied, given, sizes_first=bool(conditions))
        plan = planned(
            session, opened, space, trials=trials or TRIALS, seconds=seconds, sampler=sampler, stop_early=stop_early,
            repeats=repeats, conditions=conditions, workers=_count(workers, prepared, session.device.type),
        )  # fmt: skip
        folder = SearchFolder.create(
            opened.runs_folder, opened.run_name or prepared.source.name, card_of(session), to_json(plan)
        )
        with folder.lock():
            return Driver(folder, placed(plan, folder), source, preset or {}, follower, flag, started).search()


def _check(trials: int | None, sampler: str) -> None:
    if trials is not None and trials < 2:
        raise UsageError(f"trials={trials} is too few: a search needs at least 2.", fix="trials=40")
    if sampler not in SAMPLERS:
        raise UsageError(f"unknown sampler {sampler!r}.", fix=f"choose one of {', '.join(SAMPLERS)}.")


def _conditions(satisfy: str | Sequence[str]) -> tuple[Condition, ...]:
    texts = satisfy.split(",") if isinstance(satisfy, str) else satisfy
    return tuple(parse_condition(text) for text in texts if text.strip())


def _count(workers: int | None, prepared: Prepared, device: str) -> int:
    """The number asked for; otherwise one per processor, or one on a GPU. Data in memory only allows this process."""
    if workers is not None and workers < 1:
        raise UsageError(f"workers={workers} cannot be used: expected at least 1.", fix="workers=2")
    if prepared.reopen is None:
        if workers is not None and workers > 1:
            raise UsageError(
                "data in memory can be searched by one worker only.", fix="save it as a file, or workers=1."
            )
        return 1
    return workers or (min(processors(), MOST_WORKERS) if device == "cpu" else 1)


def _resume(
    path: Place, source: Any, workers: int | None, preset: Mapping[str, Any], follower: Follower, flag: StopFlag,
    started: float,
) -> Tuned:  # fmt: skip
    folder = SearchFolder.newest("runs") if place_of(path) == LATEST else SearchFolder.open(path)
    with folder.lock():
        settings, given = folder.run.load_settings()
        opened = fill(from_flat({key: value_of(settings, key) for key in given}), preset)
        card, search = folder.run.load_data(), folder.load_search()
        source = source_of(
            card, source, in_memory="pass it: gnomon.tune(data, resume=...).",
            moved=f"put it back, or say where it is now: gnomon tune DATA --resume {shlex.quote(str(folder.path))}",
        )  # fmt: skip
        follower.on_phase("reading")
        prepared = prepare(source, opened)
        refuse_changes(folder.run, prepared)
        session = open_session(prepared, opened, given, started=started)
        refuse_idle(given, here_of(session), session.task.kind.title)
        plan = planned(
            session, opened, spaces.from_json(search["space"], str(folder.path / SEARCH)), trials=search["trials"],
            seconds=search["seconds"], sampler=search["sampler"], stop_early=search["stop_early"],
            repeats=search["repeats"], conditions=_conditions(search["satisfy"]),
            workers=_count(workers, prepared, session.device.type),
        )  # fmt: skip
        return Driver(folder, plan, source, preset, follower, flag, started).search()
