"""Matched trials: the same split and seeds with and without a change, each setting trained once per seed and kept."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gnomon.core.errors import DivergedError, UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.knobs import Here
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings, flat, from_flat, value_of
from gnomon.training.loop import split_error
from gnomon.training.samplers import batches_per_epoch
from gnomon.workflow.road.encode import judged_splits
from gnomon.workflow.road.split import TRAIN_RUNG, Prepared
from gnomon.workflow.run import Run
from gnomon.workflow.trial import Trial, Trials

NOT_TAKEN_OVER = ("run_name", "runs_folder", "stop.max_time")  # settings that belong to that run alone
NOT_OF_A_TRAINING = (*NOT_TAKEN_OVER, "goal.human", "machine.")  # the same weights with any of them
EVALUATING = 1.2  # times the seconds of training, with the evaluation after it


@dataclass(frozen=True)
class Outcome:
    """The result of one trial, without its model."""

    seed: int
    evaluations: Mapping[str, Evaluation]
    here: Here  # where the knobs stand: its settings, filled in
    examples: int  # trained on
    cost: float  # multiply-adds of the training
    seconds: float  # including evaluation
    looks: int  # at dev

    @property
    def settings(self) -> Mapping[str, Any]:
        """Filled in, as core.settings.flat."""
        return self.here.settings

    @property
    def dev_error(self) -> float:
        return split_error(self.evaluations["dev"])

    @property
    def train_error(self) -> float:
        return split_error(self.evaluations["train"])


@dataclass(frozen=True)
class Refused:
    """Why a trial gave no result."""

    why: str
    is_out_of_time: bool = False
    epochs_done: float = 0.0


class Matched:
    """Trials on one set, by their changes and seed; nothing is trained twice."""

    def __init__(self, trials: Trials, *, stop_asked: Callable[[], bool] | None = None) -> None:
        self.trials = trials
        self.stop_asked = stop_asked
        self.cost = 0.0  # multiply-adds of every trial, including refused ones as far as known
        self.trained = 0
        self._known: dict[str, Outcome] = {}
        self._models: dict[str, Trial] = {}  # of the run's own seed
        self._latest: Outcome | None = None
        self._same_dev: bool | None = None  # whether every seed is evaluated on the same dev examples

    def start_from(self, trial: Trial) -> None:
        """Take a finished training of the current settings as their trial: it need not be repeated."""
        key = _key({}, self.trials.opened.seed, None)
        found = self._as_outcome(trial, self.trials.opened.seed, None, EVALUATING * trial.seconds)
        self._known[key] = self._latest = replace(found, looks=0)  # they were counted when it was made
        self._models[key] = trial

    def _train_size(self, rows: np.ndarray | None) -> int:
        return len(self.trials.prepared.splits["train"] if rows is None else rows)

    def seeds(self, wanted: int) -> list[int]:
        """This many seeds, the run's own first; only that one if each seed has its own dev examples."""
        if self._same_dev is None:
            task, dev, first = self.trials.task, self.trials.prepared.splits["dev"], self.trials.opened.seed
            drawn = [task.judge.judged(dev, derive(seed, "judged")).index["id"] for seed in (first, first + 1)]
            self._same_dev = drawn[0].equals(drawn[1])
        return [self.trials.opened.seed + place for place in range(wanted if self._same_dev else 1)]

    def outcome(
        self,
        changes: Mapping[str, Any],
        seed: int,
        *,
        rows: np.ndarray | None = None,
        deadline: float = math.inf,
    ) -> Outcome | Refused:
        """The trial with these changes (full keys) and this seed, on the training examples at `rows` (default: all).

        A trial that the deadline cuts short is refused: it does not measure its settings.
        """
        key = _key(changes, seed, rows)
        if key in self._known:
            return self._known[key]
        if time.monotonic() >= deadline:
            return Refused("there was no time left for it", is_out_of_time=True)
        started = time.monotonic()
        try:
            trial = self.trials.run({**changes, "seed": seed}, rows=rows, deadline=deadline, stop_asked=self.stop_asked)
        except DivergedError as error:
            return Refused(f"it diverged: {error.what}")
        except UsageError as error:
            return Refused(f"it cannot be built: {error.what}")
        finally:
            self.trained += 1
        self.cost += trial.cost
        if trial.ended_because in ("max_time", "stopped"):
            done = trial.examples_seen / self._train_size(rows)
            return Refused("its training was cut short", is_out_of_time=True, epochs_done=done)
        found = self._as_outcome(trial, seed, rows, time.monotonic() - started)
        self._known[key], self._latest = found, found
        if rows is None and seed == self.trials.opened.seed:
            self._models[key] = trial
        return found

    def _as_outcome(self, trial: Trial, seed: int, rows: np.ndarray | None, seconds: float) -> Outcome:
        examples = self._train_size(rows)
        here = trial.task.here(trial.settings, examples)
        return Outcome(seed, trial.evaluations, here, examples, trial.cost, seconds, looks=len(trial.history))

    def trial(self, changes: Mapping[str, Any]) -> Trial | None:
        """The trial with these changes and the run's own seed, including its model; None if it is no longer kept."""
        return self._models.get(_key(changes, self.trials.opened.seed, None))

    def keep_only(self, *kept: Mapping[str, Any]) -> None:
        """Drop the models of all other changes: they take memory."""
        keys = {_key(changes, self.trials.opened.seed, None) for changes in kept}
        self._models = {one: trial for one, trial in self._models.items() if one in keys}

    def knows(self, changes: Mapping[str, Any], seed: int) -> bool:
        """Whether it was trained before, so that its outcome costs nothing."""
        return _key(changes, seed, None) in self._known

    def seconds(self, of: Outcome, times: float) -> float:
        """Time for a training that costs this many times what `of` did, at the slower speed of it and the latest."""
        known = [of] if self._latest is None else [of, self._latest]
        return times * of.cost * max(one.seconds / max(one.cost, 1e-9) for one in known)


def finished_trial(run: Run, trials: Trials) -> Trial | None:
    """What training with the settings of `trials` gave in that run; None if the run had other settings or data."""
    session, outcome = trials.base, run.folder.load_outcome()
    prepared = session.prepared
    here, there = (
        {key: value for key, value in flat(settings).items() if not key.startswith(NOT_OF_A_TRAINING)}
        for settings in (session.settings, run.settings)
    )
    is_same_data = prepared.identity().sort("split", "id").equals(run.folder.load_splits().sort("split", "id"))
    if here != there or not is_same_data or outcome["ended_because"] == "max_time":
        return None
    evaluations = {name: one for name, one in run.evaluations().items() if name in prepared.splits and name != "test"}
    judged = judged_splits(session, TRAIN_RUNG)
    if any(
        not judged[name].index["id"].cast(str).equals(one.table["id"].cast(str)) for name, one in evaluations.items()
    ):
        return None
    total, batch = len(prepared.splits["train"]), session.settings.optimiser.batch_size
    steps_an_epoch = batches_per_epoch(total, batch or total)
    return Trial(
        settings=session.settings, task=run.task, model=run.model, evaluations=evaluations, history=list(run.history),
        steps=outcome["steps"], seconds=outcome.get("training_seconds", outcome["seconds"]),
        examples_seen=round(total * outcome["steps"] / steps_an_epoch),
        multiply_adds=sum(row.multiply_adds or 0 for row in session.layers), ended_because=outcome["ended_because"],
    )  # fmt: skip


def _key(changes: Mapping[str, Any], seed: int, rows: np.ndarray | None) -> str:
    part = "" if rows is None else hashlib.sha256(rows.tobytes()).hexdigest()
    return json.dumps([sorted(changes.items()), seed, part])


def opened_settings(settings: Settings, given: frozenset[str]) -> Settings:
    """A run's settings before the unset ones were filled in, without those that belong to that run alone."""
    kept = [key for key in given if not key.startswith(NOT_TAKEN_OVER)]
    return from_flat({key: value_of(settings, key) for key in kept if value_of(settings, key) is not None})


def nested_rows(prepared: Prepared, share: float, seed: int) -> np.ndarray:
    """Positions of a share of train, classes in proportion, groups whole; smaller shares of the same seed are nested.

    Each example (or group) gets a place in the order once per seed, within its class.
    """
    index = prepared.splits["train"].index
    total = len(index)
    rng = np.random.default_rng([seed, total])
    grouped = index["group"].null_count() < total
    names = index["group" if grouped else "stratum"].cast(str).fill_null("").to_numpy()
    if grouped:
        groups = rng.permutation(np.unique(names))
        rank = {name: place for place, name in enumerate(groups)}
        order = np.argsort([rank[name] for name in names], kind="stable")
        return np.sort(order[: max(2, round(share * total))])
    drawn = rng.random(total)
    within = np.empty(total)
    for name in np.unique(names):
        places = np.flatnonzero(names == name)
        within[places[np.argsort(drawn[places])]] = (np.arange(len(places)) + rng.random()) / len(places)
    return np.sort(np.argsort(within, kind="stable")[: max(2, round(share * total))])
