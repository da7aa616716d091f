"""One worker of a search: reads the data once, then trains one trial at a time; JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import polars as pl

from gnomon.core.errors import DivergedError, GnomonError, UsageError, is_out_of_memory
from gnomon.core.settings import Settings
from gnomon.metrics import intervals
from gnomon.search.results import DIVERGED, FAILED, FINISHED, STOPPED, pack
from gnomon.strategy.wording import format_error

if TYPE_CHECKING:
    from gnomon.core.evaluation import Evaluation
    from gnomon.workflow.road.build import Session
    from gnomon.workflow.trial import Trial, Trials

CUT_OFF = "cut off"  # by the time limit or by a stop: no result, to be tried again
COUNTED = ("error", "size_mb", "parameters", "multiply_adds", "training_seconds")  # metrics that every trial has
LATENCY = "latency_ms"
MOST_ERRORS = 20_000  # dev examples whose errors are kept with a trial


@dataclass(frozen=True)
class Job:
    """One trial to run."""

    number: int
    changes: Mapping[str, Any]  # settings, full keys
    bars: Mapping[int, float]  # {epoch: dev error that it must have reached by then}
    seconds: float = math.inf  # that are left

    def to_line(self) -> str:
        seconds = self.seconds if math.isfinite(self.seconds) else None
        bars = [[epoch, bar] for epoch, bar in self.bars.items()]
        return json.dumps({"number": self.number, "changes": dict(self.changes), "bars": bars, "seconds": seconds})

    @staticmethod
    def from_line(line: str) -> Job:
        plain = json.loads(line)
        seconds = math.inf if plain["seconds"] is None else plain["seconds"]
        return Job(plain["number"], plain["changes"], {int(epoch): bar for epoch, bar in plain["bars"]}, seconds)


def make(
    trials: Trials, job: Job, *, measures: tuple[str, ...] = (), stop_asked: Callable[[], bool] | None = None
) -> dict[str, Any]:
    """Train and evaluate one trial; its result as plain values of `Result`, without number, round and point.

    `measures` names the metrics of the conditions. A trial that cannot be trained is a result too.
    """
    began, note = time.monotonic(), ""
    errors: list[float] = []

    def keep_going(row: Mapping[str, Any]) -> bool:
        nonlocal note
        errors.append(float(row["dev_error"]))
        bar, best = job.bars.get(len(errors)), min(errors)
        if bar is not None and best > bar:
            unit = trials.task.judge.error_unit
            theirs = f"half of the earlier trials had {format_error(bar, unit)} or less"
            note = f"stopped after epoch {len(errors)}: {format_error(best, unit)} where {theirs}"
        return not note

    limit = trials.opened.stop.max_time or math.inf
    deadline = began + min(job.seconds, limit)
    try:
        trial = trials.run(job.changes, deadline=deadline, keep_going=keep_going, stop_asked=stop_asked)
    except DivergedError as fault:
        return _without_model(DIVERGED, fault.what, errors, began)
    except (UsageError, MemoryError, RuntimeError) as fault:
        if not isinstance(fault, UsageError) and not is_out_of_memory(fault):
            raise
        what = fault.what if isinstance(fault, UsageError) else "there was not enough memory."
        return _without_model(FAILED, what, errors, began)
    is_cut_off = (trial.ended_because == "max_time" and job.seconds < limit) or (
        trial.ended_because == "stopped" and not note
    )
    if is_cut_off:
        return {"status": CUT_OFF}
    return _measured(trials, trial, STOPPED if note else FINISHED, note, errors, measures)


def _without_model(status: str, note: str, errors: list[float], began: float) -> dict[str, Any]:
    return {"status": status, "note": note, "epoch_errors": errors, "seconds": time.monotonic() - began}


def _measured(
    trials: Trials, trial: Trial, status: str, note: str, errors: list[float], measures: tuple[str, ...]
) -> dict[str, Any]:
    dev, train = trial.evaluations["dev"], trial.evaluations["train"]
    error = intervals.split_error(dev, seed=trial.settings.seed)
    return {
        "status": status,
        "note": note,
        "error": error.value,
        "low": error.low,
        "high": error.high,
        "loss": _mean_loss(dev),
        "train_error": intervals.split_error(train, seed=trial.settings.seed).value,
        "epoch_errors": errors,
        "epochs": trial.settings.stop.epochs or 1,
        "seconds": trial.seconds,
        "cost": trial.cost,
        "measures": _measures(trials, trial, measures) if status == FINISHED and measures else {},
        "errors": _errors(dev),
    }


def _mean_loss(dev: Evaluation) -> float:
    table = dev.table.select("loss", "weight").drop_nulls()
    weight = float(table["weight"].sum())
    return float((table["loss"] * table["weight"]).sum()) / weight if weight else math.inf


def _errors(dev: Evaluation) -> str | None:
    """Each dev example's error, if the split's error is their plain mean; an even sample if there are many.

    None also if examples come in groups: these cannot be resampled one by one.
    """
    is_grouped = dev.table["group"].null_count() < dev.table.height
    if dev.split_error is not None or is_grouped or dev.table["weight"].n_unique() > 1:
        return None
    errors = dev.table["error"].cast(pl.Float32).to_numpy()
    if len(errors) > MOST_ERRORS:
        errors = errors[np.linspace(0, len(errors) - 1, MOST_ERRORS).astype(np.int64)]
    return pack(errors)


def _measures(trials: Trials, trial: Trial, wanted: tuple[str, ...]) -> dict[str, float]:
    """Everything that a condition may name; latency, which takes half a second, only if one does."""
    dev = trial.evaluations["dev"]
    parameters = sum(parameter.numel() for parameter in trial.model.parameters())
    found = {name: interval.value for name, interval in trial.task.judge.metrics(dev).items()}
    error = intervals.split_error(dev, seed=trial.settings.seed).value
    size = sum(tensor.nbytes for tensor in trial.model.state_dict().values()) / 1e6
    counted = (error, size, float(parameters), float(trial.multiply_adds), trial.seconds)
    found |= dict(zip(COUNTED, counted, strict=True))
    if any("latency" in name.lower() for name in wanted):
        found[LATENCY] = _latency(trials, trial)
    return found


def known_measures(session: Session) -> list[str]:
    """The names that `_measures` will return, from the untrained model on dev."""
    from gnomon.training.evaluate import evaluate
    from gnomon.workflow.road.encode import judged_splits

    examples = judged_splits(session, 1)["dev"]
    dev = evaluate(session.task, session.model, examples, split="dev", source="", device=session.device)
    return [*session.task.judge.metrics(dev), *COUNTED, LATENCY]


def _latency(trials: Trials, trial: Trial) -> float:
    """Milliseconds from one encoded example to its answer: the median call, with the trial's number of threads."""
    import torch

    from gnomon.training.evaluate import Member
    from gnomon.workflow.judge.latency import EXAMPLES, FEWEST, timed

    columns = trials.judged_columns["dev"]
    size = min(EXAMPLES, len(trials.prepared.splits["dev"]))
    batches = [trial.task.batch(columns, torch.tensor([place])) for place in range(size)]
    member = Member(trial.task, trial.model)
    return float(np.median(timed(member, batches, trial.settings.machine.threads, most=FEWEST)))


# --- as a process of its own ------------------------------------------------------------------------------------------
def main() -> None:
    """Serve the process at the other end of stdin and stdout until it closes them, or dies."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # keep whatever a library prints out of the answers
    lines = _lines()
    first = next(lines, None)
    if first is None:
        return
    try:
        trials, measures = _opened(json.loads(first))
    except GnomonError as fault:
        _send(answers, {"fault": {"code": fault.code, "what": fault.what, "where": fault.where, "fix": fault.fix}})
        return
    _send(answers, {"ready": os.getpid()})
    for line in lines:
        job = Job.from_line(line)
        _send(answers, {"number": job.number, "result": make(trials, job, measures=measures)})


def _opened(setup: Mapping[str, Any]) -> tuple[Trials, tuple[str, ...]]:
    from gnomon.workflow.prepare import prepare
    from gnomon.workflow.trial import Trials

    opened = Settings.model_validate(setup["settings"])
    prepared = prepare(setup["source"], opened)
    return Trials(prepared, opened, given=frozenset(setup["given"])), tuple(setup["measures"])


def _lines() -> Any:
    """Lines of stdin, read by a thread that ends the process when the other side is gone, even during a trial."""
    import queue

    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return iter(waiting.get, None)


def _send(answers: TextIO, value: Mapping[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
