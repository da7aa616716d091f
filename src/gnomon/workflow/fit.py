"""fit: read, split, train, judge, report."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import polars as pl
from torch import nn

from gnomon.checks.shapes_and_cost import LayerRow
from gnomon.core.errors import DataError, DivergedError, UsageError
from gnomon.core.example import Examples
from gnomon.core.settings import Settings, fill, from_flat, full_key
from gnomon.core.task import Task
from gnomon.data.identity import compare_splits, fingerprint_of
from gnomon.models import CUSTOM
from gnomon.runs.environment import describe_environment
from gnomon.runs.folder import REPORT, RunFolder, card_files, find
from gnomon.runs.writer import free_bytes
from gnomon.training.evaluate import encode_whole
from gnomon.training.loop import Job, Judged, Watcher, build_state, train
from gnomon.training.state import TrainingState, load_model
from gnomon.workflow.judge.judge import judge_run
from gnomon.workflow.nudge import Nudges
from gnomon.workflow.prepare import Prepared, findable, prepare, source_of
from gnomon.workflow.rate import RATE, is_worth_a_test, with_found_rate
from gnomon.workflow.run import Run, model_files
from gnomon.workflow.session import (
    TRAIN_RUNG,
    Session,
    epoch_judge,
    judged_splits,
    layer_row,
    measured,
    on_device,
    open_session,
    own_threads_and_randomness,
    signals_look,
    watched_threads,
)
from gnomon.workflow.signals import StopFlag, Stopped, watched


@dataclass(frozen=True)
class Ready:
    """What is known just before the first step."""

    prepared: Prepared
    task: Task
    settings: Settings
    given: frozenset[str]  # full keys the user gave
    layers: list[LayerRow]
    device: str
    folder: Path
    resumed_at: int | None = None  # step


class Follower(Watcher, Protocol):
    """Whoever watches a fit."""

    def on_phase(self, text: str) -> None:
        """Something that may take a while begins: "reading", "judging", "writing the report"."""

    def on_ready(self, ready: Ready) -> None:
        """Training is about to begin."""

    def on_nudge(self, row: Mapping[str, Any]) -> None:
        """A setting was changed while it trains: a row of the diary."""


@dataclass
class Silent:
    """A follower that says nothing."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)

    def on_phase(self, text: str) -> None:
        pass

    def on_ready(self, ready: Ready) -> None:
        pass

    def on_nudge(self, row: Mapping[str, Any]) -> None:
        pass

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        pass

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        self.rows.append(row)


def fit(
    source: Any = None,
    *,
    task: type[Task] | str | None = None,
    model: nn.Module | str | None = None,
    resume: str | Path | None = None,
    follower: Follower | None = None,
    preset: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Run:
    """Train a first system on `source` and measure what holds it back. Returns the finished Run.

    `source`: a path (folder, archive, table, IDX files), the name of a bundled set, (X, y), arrays, a polars or
    pandas frame, a torch Dataset. `model` may be a module of your own: of pictures it gets (B, C, H, W) float32 in
    [0, 1], of tables (B, D) numbers and (B, C) category codes or None. Settings by their short or full names:
    epochs=5, learning_rate=0.01, optimiser={"name": "sgd"}.
    `preset` holds settings (full keys) that the caller fills in where the user leaves them open.
    `resume` continues a stopped run from its last checkpoint, exactly, and returns a finished one as it is; `source`
    is then only needed for data in memory.

    Raises UsageError, DataError, MachineError, BusyError, ArtefactError, DivergedError, StoppedError.
    """
    follower, started = follower or Silent(), time.monotonic()
    custom = model if isinstance(model, nn.Module) else None
    values: dict[str, Any] = {**settings, **({"model": model} if isinstance(model, str) else {})}
    if custom is not None:
        values["model.name"] = CUSTOM
    if isinstance(task, str):
        values["task"], task = task, None
    with watched() as flag:
        if resume is not None:
            return _resume(Path(resume), source, task, custom, values, follower, flag, started)
        if source is None:
            raise UsageError("there is nothing to fit.", fix="hand over data: gnomon fit DATA, or gnomon fit digits.")
        values, wants_found_rate = _without_auto(values)
        opened = findable(fill(from_flat(values), preset or {}))
        follower.on_phase("reading")
        prepared = prepare(source, opened, task)
        given = frozenset(full_key(key) for key in values if not isinstance(values[key], Mapping)) | frozenset(
            full_key(f"{key}.{leaf}") for key in values if isinstance(values[key], Mapping) for leaf in values[key]
        )
        session = open_session(prepared, opened, given, custom, started)
        if wants_found_rate or is_worth_a_test(session):
            follower.on_phase("looking for a learning rate")
            session = with_found_rate(session)
        name = opened.run_name or prepared.source.name
        folder = RunFolder.create(Path(opened.runs_folder), session.task.name, name, card_of(session))
        with folder.lock():
            return _train_and_judge(folder, session, follower, flag)


def _without_auto(values: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The settings without learning_rate=auto, and whether it was there."""
    rest = {
        key: value
        for key, value in values.items()
        if not (isinstance(value, str) and value == "auto" and full_key(key) == RATE)
    }
    return rest, len(rest) < len(values)


def card_of(session: Session) -> dict[str, bytes]:
    """Settings, environment and data card: what is needed to do it again. A run has it from its first moment on."""
    prepared = session.prepared
    data = {
        "source": prepared.source.origin,
        "reopen": prepared.reopen,
        "name": prepared.source.name,
        "why": prepared.why,
        "splits": {name: len(examples) for name, examples in prepared.splits.items()},
        "hashes": {
            name: fingerprint_of(part.index["id"], part.fingerprints()) for name, part in prepared.splits.items()
        },
        "classes": {name: class_counts(examples) for name, examples in prepared.splits.items()},
        "notes": list(prepared.notes),
        "bad": [[bad.where, bad.why] for bad in prepared.bad],
        "leaks": list(prepared.leaks.notes),
    }
    return card_files(
        settings=session.settings,
        given=session.given,
        environment=describe_environment(),
        data=data,
        splits=prepared.identity(),
        leaks=prepared.leaks.pairs,
    )


def class_counts(examples: Examples) -> dict[str, int]:
    """Examples per class, most first; empty where there are no classes (the strata of a number are no classes)."""
    strata = examples.index["stratum"].drop_nulls()
    if strata.dtype.is_numeric():
        return {}
    counts = strata.value_counts(sort=True)
    return {str(name): int(count) for name, count in counts.head(1000).iter_rows()}


def _resume(
    path: Path, source: Any, task: type[Task] | None, custom: nn.Module | None, values: Mapping[str, Any],
    follower: Follower, flag: StopFlag, started: float,
) -> Run:  # fmt: skip
    """Continue a run from its last checkpoint."""
    if values and set(values) - {"model.name"}:
        raise UsageError(
            f"a run is resumed with the settings it has; {', '.join(values)} cannot be changed.",
            fix="leave them out, or start a new run with them.",
        )
    folder = find(path, "runs")
    flag.fix = _how_to_continue(folder)
    with folder.lock():
        settings, given = folder.load_settings()
        card = folder.load_data()
        if settings.model.name == CUSTOM and custom is None:
            raise UsageError(
                "this run trained a model of your own.", fix="hand it over: gnomon.fit(resume=..., model=...)."
            )
        if _is_finished(folder):
            return Run(folder, task, custom)
        source = source_of(
            card,
            source,
            in_memory="hand it over: gnomon.fit(data, resume=...).",
            moved=f"put it back, or say where it is now: gnomon fit DATA --resume {shlex.quote(str(folder.path))}",
        )
        follower.on_phase("reading")
        prepared = replace(prepare(source, settings, task), why=card["why"])
        refuse_changes(folder, prepared)
        return _train_and_judge(
            folder, open_session(prepared, settings, given, custom, started), follower, flag, resumed=True
        )


def _is_finished(folder: RunFolder) -> bool:
    """Whether the last thing that a fit writes is there and nothing is damaged: else a resumed run writes it again."""
    if not (folder.path / REPORT).is_file() or folder.check().bad:
        return False
    return len(folder.history.read()) == folder.load_outcome()["dev_looks"]


def refuse_changes(folder: RunFolder, prepared: Prepared) -> None:
    """Raises DataError, with counts, when the data is no longer what the run was made from."""
    recorded, now = (by_split(table) for table in (folder.load_splits(), prepared.identity()))
    changes = compare_splits(recorded, now)
    if changes:
        counts = [f"{count:,} {kind}" for kind, count in asdict(changes).items() if count]
        raise DataError(
            f"the data is not what this run was made from: examples {', '.join(counts)}.",
            where=prepared.source.origin,
            fix="put the data back as it was, or start a new run.",
        )


def by_split(identity: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {name: identity.filter(pl.col("split") == name) for name in identity["split"].unique()}


def _train_and_judge(
    folder: RunFolder, session: Session, follower: Follower, flag: StopFlag, *, resumed: bool = False
) -> Run:
    """The loop from the newest checkpoint (or the start), then the judging, then everything written."""
    flag.fix = _how_to_continue(folder)
    with own_threads_and_randomness(session):
        state = _train(folder, session, follower, flag, resumed=resumed)
        flag.what = "stopped after training, before everything was measured and written."
        with flag.at_once():
            return _judge(folder, session, state, follower)


def _train(folder: RunFolder, session: Session, follower: Follower, flag: StopFlag, *, resumed: bool) -> TrainingState:
    settings, task, splits = session.settings, session.task, session.prepared.splits
    train_ids = splits["train"].index["id"]
    said: list[str] = []
    columns = on_device(encode_whole(task, splits["train"], folder.path, said.append), session.device)
    job = Job(
        task=task,
        settings=settings,
        columns=columns,
        device=session.device,
        id_of=lambda position: str(train_ids[position]),
        judge=_unless_stopped(epoch_judge(session), flag),
        watcher=follower,
        record=folder.history.append,
        save=lambda state: folder.save_checkpoint(state.counters.step, state.files()),
        stop_asked=flag.asked,
        deadline=_deadline(session),
        threads=watched_threads(session),
        turned=Nudges(folder, settings, follower.on_nudge),
        look=signals_look(session, columns),
    )
    state = build_state(job, session.model)
    checkpoint = folder.latest_checkpoint() if resumed else None
    if checkpoint is not None:
        state.load(checkpoint.files)
    folder.history.keep_first(state.counters.looks)  # one row a look
    notes = (*(checkpoint.notes if checkpoint else ()), *said, *_little_room(folder, state), *session.prepared.notes)
    prepared = replace(session.prepared, notes=notes)
    step = None if checkpoint is None else checkpoint.step
    follower.on_ready(
        Ready(prepared, task, settings, session.given, session.layers, str(session.device), folder.path, step)
    )
    if state.counters.finished:
        return state
    flag.patient = True
    try:
        train(job, state)
    except DivergedError as fault:
        raise _with_best_kept(fault, folder, session, state) from None
    if not state.counters.finished:
        flag.what = f"stopped at step {state.counters.step}; its state is saved."
        raise Stopped
    folder.save_checkpoint(state.counters.step, state.files())
    return state


def _with_best_kept(fault: DivergedError, folder: RunFolder, session: Session, state: TrainingState) -> DivergedError:
    """The error, after the weights of the best epoch so far, where there is one, were saved as the run's model."""
    if not state.best:
        return fault
    load_model(session.model, state.best)
    task, _ = measured(session, session.model, {"dev": judged_splits(session, 1)["dev"]})
    folder.save_model(model_files(task, session.settings, session.model))
    kept = (
        f"The weights of epoch {state.counters.best_epoch + 1}, the best so far, are kept: gnomon predict can use them."
    )
    return DivergedError(f"{fault.what} {kept}", where=str(folder.path), fix=fault.fix)


def _little_room(folder: RunFolder, state: TrainingState) -> tuple[str, ...]:
    """A warning when the disk has no room for the two checkpoints that are kept and the one that replaces one."""
    copies = 5 if state.average else 4  # weights now and at their best, two moments, the moving average
    needed = 3 * copies * sum(buffer.nbytes for buffer in state.parameters.buffers)
    free = free_bytes(folder.path)
    return (f"the disk has {free:,} bytes free; three checkpoints need about {needed:,}",) if free < needed else ()


def _how_to_continue(folder: RunFolder) -> str:
    return f"continue with: gnomon fit --resume {shlex.quote(str(folder.path))}"


def _unless_stopped(judge: Callable[[nn.Module], Judged], flag: StopFlag) -> Callable[[nn.Module], Judged | None]:
    """`judge`, which gives up and returns None when a signal comes: a large dev set takes longer than people wait."""

    def judge_or_stop(model: nn.Module) -> Judged | None:
        try:
            with flag.at_once():
                return judge(model)
        except Stopped:
            return None

    return judge_or_stop


def _deadline(session: Session) -> float:
    """When the last step must be done to keep to stop.max_time: a fifth of it, at most 20 s, is for judging."""
    limit = session.settings.stop.max_time
    if limit is None:
        return math.inf
    return session.started + limit - min(20.0, 0.2 * limit)


def _judge(folder: RunFolder, session: Session, state: TrainingState, follower: Follower) -> Run:
    """Measure every open split with the best weights, diagnose, and write what there is to write."""
    follower.on_phase("judging")
    load_model(session.model, state.best)
    examples = judged_splits(session, TRAIN_RUNG)
    task, evaluations = measured(session, session.model, examples)
    folder.save_model(model_files(task, session.settings, session.model))
    for name, evaluation in evaluations.items():
        folder.save_predictions(name, evaluation.table)
    follower.on_phase("writing the report")
    folder.save_outcome(
        {
            "seconds": time.monotonic() - session.started,
            "steps": state.counters.step,
            "best_epoch": state.counters.best_epoch + 1,
            "ended_because": state.counters.ended_because,
            "training_seconds": state.counters.seconds,
            "dev_looks": state.counters.looks,
            "layers": [layer_row(row) for row in session.layers],
        }
    )
    run = Run(folder, type(task), session.model)
    if "test" in folder.saved_predictions():  # a finished run, resumed: what was opened stays opened
        evaluations["test"] = run.evaluation("test")
    judge_run(run, evaluations, examples=examples)
    return run
