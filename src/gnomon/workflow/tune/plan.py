"""What a search is going to do, and who listens to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.runs.search_folder import SearchFolder
from gnomon.search import rounds as coarse_to_fine
from gnomon.search import space as spaces
from gnomon.search.results import Result
from gnomon.search.rounds import Round, Zoom
from gnomon.search.space import Space
from gnomon.strategy.target import Condition
from gnomon.workflow.road.build import Session
from gnomon.workflow.road.split import Prepared


@dataclass(frozen=True)
class Plan:
    """What a search is going to do, known before its first trial."""

    prepared: Prepared
    task: Task
    base: Settings  # filled in: what the trials start from
    opened: Settings  # as given
    given: frozenset[str]
    space: Space
    rounds: tuple[Round, ...]
    trials: int
    seconds: float | None  # for all of it
    sampler: str
    stop_early: bool
    repeats: int
    conditions: tuple[Condition, ...]
    workers: int
    folder: Path
    done: int = 0  # trials from an earlier process


class Follower(Protocol):
    """Listens to a search."""

    def on_phase(self, text: str) -> None:
        """Something that may take a while starts."""

    def on_plan(self, plan: Plan) -> None:
        """The search is about to start, or to continue."""

    def on_trial(self, result: Result, *, is_best: bool) -> None:
        """A trial has ended."""

    def on_zoom(self, zooms: Sequence[Zoom]) -> None:
        """The ranges of the next round."""

    def on_note(self, text: str) -> None:
        """Something a person should know: a worker died."""


class Silent:
    """A follower that prints nothing."""

    def on_phase(self, text: str) -> None:
        pass

    def on_plan(self, plan: Plan) -> None:
        pass

    def on_trial(self, result: Result, *, is_best: bool) -> None:
        pass

    def on_zoom(self, zooms: Sequence[Zoom]) -> None:
        pass

    def on_note(self, text: str) -> None:
        pass


def planned(
    session: Session, opened: Settings, space: Space, *, trials: int, seconds: float | None, sampler: str,
    stop_early: bool, repeats: int, conditions: tuple[Condition, ...], workers: int,
) -> Plan:  # fmt: skip
    if sampler == "grid":
        trials = 1 + len(coarse_to_fine.grid(space, trials - 1))
    rounds = coarse_to_fine.plan(trials, space.tiers, zooms=sampler == "zoom")
    return Plan(
        prepared=session.prepared, task=session.task, base=session.settings, opened=opened, given=session.given,
        space=space, rounds=tuple(rounds), trials=trials, seconds=seconds, sampler=sampler, stop_early=stop_early,
        repeats=repeats, conditions=conditions, workers=min(workers, trials), folder=Path(),
    )  # fmt: skip


def placed(plan: Plan, folder: SearchFolder, done: int = 0) -> Plan:
    return replace(plan, folder=folder.path, done=done)


def to_json(plan: Plan) -> dict[str, Any]:
    return {
        "trials": plan.trials,
        "seconds": plan.seconds,
        "sampler": plan.sampler,
        "stop_early": plan.stop_early,
        "repeats": plan.repeats,
        "satisfy": [str(one) for one in plan.conditions],
        "space": spaces.to_json(plan.space),
    }
