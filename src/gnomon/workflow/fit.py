"""fit: read, split, train, judge, report."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import torch
from torch import nn

from gnomon.checks.shapes_and_cost import LayerRow, layer_table
from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.seeds import derive, generator
from gnomon.core.settings import Settings, fill, from_flat, full_key, with_values
from gnomon.core.task import Task
from gnomon.data.columns import Columns
from gnomon.data.splits import compare_splits, fingerprint_of
from gnomon.metrics import intervals
from gnomon.models import CUSTOM
from gnomon.nn.initialise import initialise
from gnomon.runs.environment import describe_environment
from gnomon.runs.folder import REPORT, RunFolder, card_files, find
from gnomon.runs.writer import free_bytes
from gnomon.strategy.ladder import check_human
from gnomon.training.allocator import keep_freed_memory
from gnomon.training.evaluate import encode_whole, evaluate
from gnomon.training.loop import Job, Judged, Watcher, build_state, split_error, train
from gnomon.training.state import TrainingState, load_model
from gnomon.training.threads import Threads
from gnomon.workflow.judge import judge_run
from gnomon.workflow.prepare import Prepared, prepare, source_of
from gnomon.workflow.run import Run, model_files
from gnomon.workflow.signals import StopFlag, Stopped, watched

TRAIN_RUNG = 10_000  # training examples (evenly drawn) that the train rung is measured on
EPOCH_SAMPLE = 2_000  # of them, how many an epoch's row looks at
ONE_THREAD_BELOW = 5e6  # multiply-adds a step (forward) below which one CPU thread is the faster choice
DEFAULTS: Mapping[str, Any] = {  # what neither the user nor the task says
    "model.activation": "relu",
    "model.normalisation": "none",
    "init.name": "he",
    "regularise.weight_decay": 0.0,
    "regularise.dropout": (),
    "regularise.augment": "none",
    "optimiser.name": "adam",
    "optimiser.learning_rate": 1e-3,
    "optimiser.batch_size": 64,
    "schedule.name": "cosine",
    "stop.epochs": 20,
    "machine.allocator": "system",
}


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


@dataclass
class Silent:
    """A follower that says nothing."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)

    def on_phase(self, text: str) -> None:
        pass

    def on_ready(self, ready: Ready) -> None:
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
        opened = _findable(fill(from_flat(values), preset or {}))
        follower.on_phase("reading")
        prepared = prepare(source, opened, task)
        given = frozenset(full_key(key) for key in values if not isinstance(values[key], Mapping)) | frozenset(
            full_key(f"{key}.{leaf}") for key in values if isinstance(values[key], Mapping) for leaf in values[key]
        )
        session = open_session(prepared, opened, given, custom, started)
        name = opened.run_name or prepared.source.name
        folder = RunFolder.create(Path(opened.runs_folder), session.task.name, name, card_of(session))
        with folder.lock():
            return _train_and_judge(folder, session, follower, flag)


def _findable(settings: Settings) -> Settings:
    """The settings with the place of the target data as it is seen from every folder: a run is resumed from any."""
    target = settings.data.target_data
    if target is None or not Path(target).expanduser().exists():
        return settings
    return with_values(settings, {"data.target_data": str(Path(target).expanduser().absolute())})


@dataclass(frozen=True)
class Session:
    """Everything decided before training."""

    prepared: Prepared
    task: Task
    settings: Settings  # filled in
    given: frozenset[str]
    model: nn.Module
    layers: list[LayerRow]
    device: torch.device
    started: float


def open_session(
    prepared: Prepared,
    opened: Settings,
    given: frozenset[str] = frozenset(),
    custom: nn.Module | None = None,
    started: float | None = None,
) -> Session:
    """Fit the task's facts on train, fill the settings in, build the model."""
    train_split = prepared.splits["train"]
    task = prepared.task.from_train(train_split, opened)
    prepared = replace(prepared, notes=(*prepared.notes, *task.notes(train_split)))
    check_human(opened.goal.human or (), task.error_unit)
    settings = fill(fill(opened, task.defaults(opened, len(train_split))), DEFAULTS)
    settings = fill(settings, {"task": task.name})
    if settings.machine.allocator == "keep":
        keep_freed_memory()
    device = _device(settings.machine.device)
    model = custom if custom is not None else fresh_model(task, settings)
    layers = layers_of(task, model, train_split)
    settings = fill(settings, {"machine.threads": _threads(layers, settings, len(train_split))})
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    started = time.monotonic() if started is None else started
    return Session(prepared, task, settings, given, model, layers, device, started)


def fresh_model(task: Task, settings: Settings) -> nn.Module:
    """The task's model with its starting weights: the same for the same settings."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(settings.seed, "model"))
        model = task.build_model(settings)
    initialise(model, settings.init.name or "he", torch.Generator().manual_seed(derive(settings.seed, "init")))
    return model


def layers_of(task: Task, model: nn.Module, train_split: Examples) -> list[LayerRow]:
    """The layer table, from one forward pass over the first examples."""
    few = encode_whole(task, train_split.take(np.arange(min(2, len(train_split)))))
    batch = task.collate(few, torch.arange(min(2, len(train_split))))
    return layer_table(model, lambda module: task.outputs(module, batch), batch_size=min(2, len(train_split)))


def layer_row(row: LayerRow) -> dict[str, Any]:
    """A layer as plain values, as the run keeps it and the faces show it."""
    return {
        "name": row.name,
        "kind": row.kind,
        "shape": " x ".join(map(str, row.output_shape)),
        "parameters": row.parameters,
        "multiply_adds": row.multiply_adds,
        "activation": row.activation_size,
    }


def _threads(layers: list[LayerRow], settings: Settings, num_train: int) -> int:
    """One thread for small steps, all cores for large ones: a rule rather than a measurement, so that runs repeat.

    How many of them are used while other programs need the processors, `training.threads` decides.
    """
    every = torch.get_num_threads()
    multiply_adds = sum(row.multiply_adds or 0 for row in layers)
    batch = settings.optimiser.batch_size or num_train
    return 1 if multiply_adds * min(batch, num_train) < ONE_THREAD_BELOW else every


def _device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("machine.device=cuda, but torch sees no CUDA device.", fix="leave machine.device out.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


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
    threads_before = torch.get_num_threads()
    torch.set_num_threads(session.settings.machine.threads or threads_before)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(session.settings.seed, "train"))
            state = _train(folder, session, follower, flag, resumed=resumed)
            flag.what = "stopped after training, before everything was measured and written."
            with flag.at_once():
                return _judge(folder, session, state, follower)
    finally:
        torch.set_num_threads(threads_before)


def _train(folder: RunFolder, session: Session, follower: Follower, flag: StopFlag, *, resumed: bool) -> TrainingState:
    settings, task, splits = session.settings, session.task, session.prepared.splits
    train_ids = splits["train"].index["id"]
    job = Job(
        task=task,
        settings=settings,
        columns=_on_device(encode_whole(task, splits["train"]), session.device),
        device=session.device,
        id_of=lambda position: str(train_ids[position]),
        judge=_unless_stopped(_epoch_judge(session), flag),
        watcher=follower,
        record=folder.history.append,
        save=lambda state: folder.save_checkpoint(state.counters.step, state.files()),
        stop_asked=flag.asked,
        deadline=_deadline(session),
        threads=_threads_kept(session),
    )
    state = build_state(job, session.model)
    checkpoint = folder.latest_checkpoint() if resumed else None
    if checkpoint is not None:
        state.load(checkpoint.files)
    folder.history.keep_first(state.counters.looks)  # one row a look
    notes = (*(checkpoint.notes if checkpoint else ()), *_little_room(folder, state), *session.prepared.notes)
    prepared = replace(session.prepared, notes=notes)
    step = None if checkpoint is None else checkpoint.step
    follower.on_ready(
        Ready(prepared, task, settings, session.given, session.layers, str(session.device), folder.path, step)
    )
    if state.counters.finished:
        return state
    flag.patient = True
    train(job, state)
    if not state.counters.finished:
        flag.what = f"stopped at step {state.counters.step}; its state is saved."
        raise Stopped
    folder.save_checkpoint(state.counters.step, state.files())
    return state


def _threads_kept(session: Session) -> Threads:
    is_fixed = "machine.threads" in session.given or session.device.type != "cpu"
    return Threads(torch.get_num_threads(), fixed=is_fixed)


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


def _on_device(columns: Columns, device: torch.device) -> Columns:
    if device.type == "cpu":
        return columns
    return {name: column.to(device) if isinstance(column, torch.Tensor) else column for name, column in columns.items()}


def train_sample(examples: Examples, most: int, seed: int) -> Examples:
    """At most `most` examples of train, drawn evenly by the run's seed."""
    if len(examples) <= most:
        return examples
    chosen = generator(seed, "train rung").choice(len(examples), most, replace=False)
    return examples.take(np.sort(chosen))


def judged_splits(session: Session, most_train: int) -> dict[str, Examples]:
    """What each open split is judged on. The test split stays sealed."""
    seed = derive(session.settings.seed, "judged")
    splits = {name: part for name, part in session.prepared.splits.items() if name != "test"}
    splits["train"] = train_sample(splits["train"], most_train, session.settings.seed)
    return {name: session.task.judged(part, seed) for name, part in splits.items()}


def _epoch_judge(session: Session) -> Callable[[nn.Module], Judged]:
    """A function that measures train (a sample), train-dev and dev for an epoch's row."""
    small = min(EPOCH_SAMPLE, max(500, len(session.prepared.splits["train"]) // 20))
    examples = judged_splits(session, small)
    columns = {name: encode_whole(session.task, part) for name, part in examples.items()}

    def judge(model: nn.Module) -> Judged:
        def measure(task: Task, split: str) -> Evaluation:
            return evaluate(
                task, model, examples[split], split=split, source="", device=session.device, columns=columns[split]
            )

        _, evaluations = calibrated(session.task, list(examples), measure)
        errors = {name: split_error(evaluation) for name, evaluation in evaluations.items()}
        row: dict[str, Any] = {f"{name}_error": value for name, value in errors.items()}
        dev = evaluations["dev"]
        if dev.unit == SHARE and dev.split_error is None:  # cheap enough for every epoch
            interval = intervals.split_error(dev)
            row |= {"dev_low": interval.low, "dev_high": interval.high}
        return Judged(errors["train"], errors["dev"], row)

    return judge


def calibrated(
    task: Task, splits: Sequence[str], measure: Callable[[Task, str], Evaluation]
) -> tuple[Task, dict[str, Evaluation]]:
    """Judge dev, set what can only be set after training by it, and judge every split with that."""
    dev = measure(task, "dev")
    final = task.calibrate(dev)
    return final, {name: dev if name == "dev" and final == task else measure(final, name) for name in splits}


def _judge(folder: RunFolder, session: Session, state: TrainingState, follower: Follower) -> Run:
    """Measure every open split with the best weights, diagnose, and write what there is to write."""
    follower.on_phase("judging")
    load_model(session.model, state.best)
    examples = judged_splits(session, TRAIN_RUNG)
    names = {"train": session.prepared.source.name, "train_dev": session.prepared.source.name}
    judged_on = Path(session.settings.data.target_data).stem if session.settings.data.target_data else names["train"]

    def measure(task: Task, split: str) -> Evaluation:
        return evaluate(
            task, session.model, examples[split], split=split, source=names.get(split, judged_on), device=session.device
        )

    task, evaluations = calibrated(session.task, list(examples), measure)
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
