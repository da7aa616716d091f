"""Runs a search: rounds of trials, repeats, training the best; the one process that writes the ledger."""

from __future__ import annotations

import math
import shlex
import statistics
import time as clock
from collections.abc import Mapping, Sequence
from typing import Any

from gnomon.core.errors import DivergedError, StoppedError, UsageError
from gnomon.core.settings import value_of, with_values
from gnomon.runs.names import LEDGER
from gnomon.runs.search_folder import SearchFolder
from gnomon.search import rounds as coarse_to_fine
from gnomon.search.ledger import Ledger, failed, replay
from gnomon.search.results import FINISHED, Result, best_of, from_json
from gnomon.search.rounds import Round
from gnomon.search.stopping import bars
from gnomon.strategy.target import resolve
from gnomon.workflow.fit import fit
from gnomon.workflow.looks import remember_earlier
from gnomon.workflow.made import with_ladder
from gnomon.workflow.road.build import Session
from gnomon.workflow.road.encode import judged_splits
from gnomon.workflow.road.follow import Silent
from gnomon.workflow.road.split import TRAIN_RUNG
from gnomon.workflow.road.verdict import judge_run
from gnomon.workflow.run import Run
from gnomon.workflow.session import open_session
from gnomon.workflow.signals import StopFlag, Stopped
from gnomon.workflow.tune.findings import Tuned, conclude
from gnomon.workflow.tune.plan import Follower, Plan, placed
from gnomon.workflow.tune.worker import CUT_OFF, Job
from gnomon.workflow.tune.workers import Event, Here, Processes

RESERVE = 1.5  # times a trial's duration that is reserved for training the best one again, if time is limited


class Driver:
    """Runs a plan: the one process that writes the ledger."""

    def __init__(
        self, folder: SearchFolder, plan: Plan, source: Any, preset: Mapping[str, Any], follower: Follower,
        flag: StopFlag, started: float,
    ) -> None:  # fmt: skip
        self.folder, self.source, self.preset, self.follower, self.flag = folder, source, preset, follower, flag
        self.started, self.before = started, 0.0
        self.ledger = Ledger(folder.ledger, self.spent)
        self.before = replay(self.ledger, plan.space, str(folder.path / LEDGER))
        self.plan = placed(plan, folder, len(self.ledger.results))
        self.seed = plan.base.seed
        self.is_over = False  # the time is up
        names = tuple(one.name for one in plan.conditions)
        self.measures = names
        self.team: Here | Processes | None = None

    def spent(self) -> float:
        """Seconds spent on this search, by this process and earlier ones."""
        return self.before + clock.monotonic() - self.started

    # --- the whole of it ----------------------------------------------------------------------------------------------
    def search(self) -> Tuned:
        plan, flag = self.plan, self.flag
        flag.fix = f"continue with: gnomon tune --resume {shlex.quote(str(self.folder.path))}"
        finished = self.folder.load_outcome()
        if finished is not None:
            return Tuned.reopened(self.folder, plan.space, self.ledger, finished)
        self.follower.on_plan(plan)
        flag.what, flag.patient = "the search was stopped; every finished trial is kept.", True
        try:
            self._rounds()
            best = self._best()
            self._repeat(best)
        finally:
            if self.team is not None:
                self.team.close()
                self.team = None
        with flag.at_once():
            return self._finish(best)

    def _finish(self, best: Result) -> Tuned:
        """Write the best settings, train with them, and conclude."""
        plan = self.plan
        changes = plan.space.changes(best.point)
        chosen = plan.given | changes.keys()
        session = open_session(plan.prepared, with_values(plan.opened, changes), chosen)
        self.folder.save_best(session.settings, chosen)
        self.follower.on_phase("training the best settings")
        run = self._train({key: value_of(session.settings, key) for key in chosen})
        self._count_looks(run, session)
        self.follower.on_phase("writing the report")
        return conclude(
            self.folder, plan.space, self.ledger, plan.task, best, run, conditions=plan.conditions,
            seconds=self.spent(), seed=self.seed,
        )  # fmt: skip

    def _count_looks(self, run: Run, session: Session) -> None:
        """Diagnose the run again, given that each epoch of each trial was a look at its dev set."""
        made = (*self.ledger.results.values(), *self.ledger.again.values())
        with run.folder.lock():
            remember_earlier(run.folder, sum(len(one.epoch_errors) for one in made))
            judge_run(run, run.evaluations(), examples=judged_splits(session, TRAIN_RUNG))

    def _train(self, values: Mapping[str, Any]) -> Run:
        try:
            return with_ladder(fit(self.source, preset=self.preset, follower=Silent(), **dict(values)))
        except StoppedError as stopped:
            raise StoppedError(
                "the search was stopped while the best settings were trained; every trial is kept.",
                fix=self.flag.fix, signal_number=stopped.exit_code - 128,
            ) from None  # fmt: skip

    # --- rounds -------------------------------------------------------------------------------------------------------
    def _rounds(self) -> None:
        plan, ledger = self.plan, self.ledger
        region = coarse_to_fine.whole(plan.space)
        last: Round | None = None
        for what in plan.rounds:
            earlier = [one for one in ledger.results.values() if one.round < what.number]
            if last is not None:
                region, zooms = coarse_to_fine.zoom(plan.space, region, earlier, last)
                for one in zooms:
                    ledger.zoomed(one)
                if zooms:
                    self.follower.on_zoom(zooms)
            points = self._points(what, region)
            if last is None:
                points = {1: plan.space.defaults, **points}
            self._make(what, points, earlier)
            last = what
            if self.is_over:
                return

    def _points(self, what: Round, region: coarse_to_fine.Region) -> dict[int, Mapping[str, Any]]:
        """{trial: point}; an empty point is decided when its turn comes."""
        plan = self.plan
        if plan.sampler == "grid":
            order = coarse_to_fine.shuffled(coarse_to_fine.grid(plan.space, plan.trials - 1), self.seed)
            return dict(zip(what.trials, order, strict=True))
        if plan.sampler == "tpe":
            return {number: {} for number in what.trials}
        return dict(coarse_to_fine.draws(plan.space, region, what, self.seed))

    def _make(self, what: Round, points: Mapping[int, Mapping[str, Any]], earlier: Sequence[Result]) -> None:
        """Run the trials of a round that are still missing."""
        plan, ledger = self.plan, self.ledger
        tried = dict(points)
        left = [number for number in points if number not in ledger.results]
        epochs = plan.base.stop.epochs or 1
        rule = bars(earlier, epochs) if plan.stop_early and "epochs" not in plan.space.defaults else {}

        def next_job() -> Job | None:
            while left and ledger.given_up(left[0]):
                number = left.pop(0)
                self._keep(failed(number, what.number, tried[number] or plan.space.defaults, ledger.deaths.get(number)))
            seconds = self._seconds_left()
            if not left or seconds <= 0:
                self.is_over = self.is_over or bool(left)
                return None
            number = left.pop(0)
            if not tried[number]:
                from gnomon.search.tpe import ask

                tried[number] = ask(plan.space, ledger.results.values(), number, self.seed)
            return Job(number, plan.space.changes(tried[number]), rule, seconds)

        for event in self._team().run(next_job, self.flag.asked):
            if event.kind == "died":
                left.insert(0, event.number)
            result = self._handle(event, 0 if event.number == 1 else what.number, tried[event.number])
            if result is not None:
                self._keep(result)
        if self.flag.asked():
            self._put_back(set(points) - set(ledger.results))
            raise Stopped

    def _handle(self, event: Event, round_number: int, point: Mapping[str, Any]) -> Result | None:
        """Record what happened; returns the result, if there is one."""
        ledger = self.ledger
        if event.kind == "began":
            ledger.began(event.number)
        elif event.kind == "died":
            ledger.died(event.number, event.why)
            self.follower.on_note(f"the process of trial {event.number} died ({event.why}); the trial is repeated")
        elif event.result["status"] == CUT_OFF:
            ledger.put_back(event.number)
            self.is_over = self.is_over or not self.flag.asked()
        else:
            found = {key: value for key, value in event.result.items() if key not in ("errors", "measures")}
            plain = {**_EMPTY, **found, "number": event.number, "round": round_number, "point": dict(point)}
            plain |= {"errors": event.result.get("errors"), "measures": event.result.get("measures", {})}
            plain["unmet"] = self._unmet(plain["measures"]) if plain["status"] == FINISHED else []
            return from_json(plain, str(self.folder.path / LEDGER))
        return None

    def _unmet(self, measures: Mapping[str, float]) -> list[str]:
        """The conditions that are not met, with what was measured. Raises UsageError for an unknown metric."""
        unmet = []
        for one in self.plan.conditions:
            name = resolve(one.name, list(measures))
            if not one.is_met(measures[name]):
                unmet.append(f"{one}: it has {measures[name]:.4g}")
        return unmet

    def _keep(self, result: Result) -> None:
        before = best_of(self.ledger.results.values())
        self.ledger.trial(result)
        after = best_of(self.ledger.results.values())
        self.follower.on_trial(result, is_best=after is not None and (before is None or after.number != before.number))

    def _put_back(self, numbers: set[int]) -> None:
        for number in sorted(numbers):
            if self.ledger.times.get(number):
                self.ledger.put_back(number)

    def _seconds_left(self) -> float:
        """When no more trial may run: the time to train the best one again is reserved."""
        if self.plan.seconds is None:
            return math.inf
        took = [one.seconds for one in self.ledger.results.values() if one.status == FINISHED]
        reserve = RESERVE * statistics.median(took) if took else 0.0
        left = self.plan.seconds - self.spent() - reserve
        return left if not took or left >= 0.5 * statistics.median(took) else 0.0

    def _team(self) -> Here | Processes:
        if self.team is None:
            plan, given = self.plan, self.plan.given
            self.follower.on_phase("starting")
            if plan.workers == 1 or plan.prepared.reopen is None:
                self.team = Here(plan.prepared, plan.opened, given, self.measures)
            else:
                self.team = Processes(plan.workers, plan.prepared.reopen, plan.opened, given, self.measures)
        return self.team

    # --- afterwards ---------------------------------------------------------------------------------------------------
    def _best(self) -> Result:
        """Raises UsageError or DivergedError if there is none."""
        results = list(self.ledger.results.values())
        best = best_of(results)
        if best is not None:
            return best
        if any(one.status == FINISHED for one in results):
            nearest = min((one for one in results if one.unmet), key=lambda one: (len(one.unmet), one.error))
            raise UsageError(
                f"none of {len(results)} trials meets every condition; trial {nearest.number} comes closest "
                f"({'; '.join(nearest.unmet)}).",
                where=str(self.folder.path),
                fix="loosen the condition, or search where it can be met: units=4..32, for example.",
            )
        if not results:
            raise UsageError("there was no time for a single trial.", fix="give it more: time=30m.")
        raise DivergedError(
            f"none of {len(results)} trials finished; the last: {results[-1].note}",
            where=str(self.folder.path), fix="search smaller learning rates: learning_rate=1e-6..1e-3.",
        )  # fmt: skip

    def _repeat(self, best: Result) -> None:
        """Train the best settings and the defaults with other seeds, as far as time allows."""
        plan, ledger = self.plan, self.ledger
        wanted = [best] if best.number == 1 else [best, *(one for one in ledger.results.values() if one.number == 1)]
        wanted = [one for one in wanted if one.status == FINISHED]
        jobs: dict[int, tuple[Result, int]] = {}
        for repeat in range(1, plan.repeats + 1):
            for one in wanted:
                jobs[plan.trials + len(jobs) + 1] = (one, self.seed + repeat)
        left = [number for number in jobs if number not in ledger.again]

        def next_job() -> Job | None:
            while left and ledger.given_up(left[0]):
                left.pop(0)
            if not left or (plan.seconds is not None and self._seconds_left() <= 0):
                return None
            number = left.pop(0)
            one, seed = jobs[number]
            return Job(number, {**plan.space.changes(one.point), "seed": seed}, {}, self._seconds_left())

        if left and not self.is_over:
            self.follower.on_phase("training the best and the defaults with other seeds")
            for event in self._team().run(next_job, self.flag.asked):
                if event.kind == "died":
                    left.insert(0, event.number)
                one, _ = jobs[event.number]
                result = self._handle(event, -one.number, one.point)
                if result is not None:
                    ledger.repeated(result)
        if self.flag.asked():
            self._put_back(set(jobs) - set(ledger.again))
            raise Stopped


_EMPTY = {
    "error": math.inf, "low": math.inf, "high": math.inf, "loss": math.inf, "train_error": math.inf,
    "epoch_errors": [], "epochs": 0, "seconds": 0.0, "cost": 0.0, "note": "",
}  # fmt: skip
