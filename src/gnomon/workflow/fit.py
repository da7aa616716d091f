"""fit: the whole road, from data to an evaluated system and its report."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, get_args

from torch import nn

from gnomon.core import found
from gnomon.core.craft import Craft
from gnomon.core.errors import UsageError
from gnomon.core.own import Augmentation, Loss, Own, asked_for
from gnomon.core.settings import fill, from_flat, full_key, with_values
from gnomon.core.task import TaskKind
from gnomon.models import CUSTOM
from gnomon.runs.folder import RunFolder, find
from gnomon.runs.names import REPORT, Place
from gnomon.workflow import craft
from gnomon.workflow.folds import Whole, refuse_own_network, start_folds, train_folds
from gnomon.workflow.judge.floor import measure_floor
from gnomon.workflow.made import Made
from gnomon.workflow.notebook import fit_follower
from gnomon.workflow.prepare import prepare_again
from gnomon.workflow.rate import RATE, is_worth_a_test, with_found_rate
from gnomon.workflow.road.build import Session, build_model, own_threads_and_randomness
from gnomon.workflow.road.card import card_of
from gnomon.workflow.road.encode import encode
from gnomon.workflow.road.facts import fit_facts
from gnomon.workflow.road.follow import Follower
from gnomon.workflow.road.judge import judge_splits
from gnomon.workflow.road.onward import with_settings_before
from gnomon.workflow.road.open import findable, given_keys, open_data, with_target
from gnomon.workflow.road.read import read_examples
from gnomon.workflow.road.recognise import Commission, recognise_work
from gnomon.workflow.road.settings import fill_settings, refuse_idle_settings
from gnomon.workflow.road.split import split_examples
from gnomon.workflow.road.train import train_model
from gnomon.workflow.road.write import write_run
from gnomon.workflow.run import Run
from gnomon.workflow.session import open_session
from gnomon.workflow.signals import StopFlag, watched
from gnomon.workflow.words import FitWords, spelled_out

MAX_TIME = "stop.max_time"  # the one setting that a resumed run may get anew


@spelled_out(FitWords)
def fit(
    source: Any = None,
    /,
    target: Any = None,
    *,
    task: TaskKind | Craft | str | Mapping[str, Any] | None = None,
    model: nn.Module | str | Mapping[str, Any] | None = None,
    resume: Place | None = None,
    loss: Loss | None = None,
    augment_with: Augmentation | None = None,
    follower: Any = None,
    preset: Mapping[str, Any] | None = None,
    **settings: Unpack[FitWords],
) -> Run | Made:
    """Train a first system on `source` and measure what limits it. Returns the finished Run.

    Data that a craft claims (core/craft.py) is made into something instead, which is returned as Made.

    `source`: a path (folder, archive, table, IDX files), the name of a bundled set, arrays or lists X with their
    targets y, a polars or pandas frame, a torch Dataset. `target`: the targets, or the name of the column that holds
    them. `model` may be your own module: for pictures it gets (B, C, H, W) float32 in [0, 1], for tables (B, D) numbers
    and (B, C) category codes or None. `loss(outputs, target)`: (B,) losses in place of gnomon's; `augment_with(batch,
    generator)`: a training batch (named tensors) changed at random, after what augment= does (nothing unless given).
    Settings by their short or full names: epochs=5, learning_rate=0.01, optimiser={"name": "sgd"}.
    `follower` hears what happens, by any of the methods of `workflow.road.follow.Follower`: on_epoch(row), for one.
    `preset` has settings (full keys) that the caller fills in if the user leaves them unset.
    `resume` continues a stopped run exactly from its last checkpoint, and returns a finished one unchanged; with a new
    `max_time`, one that was cut short goes on. `source` is then only needed for data in memory.

    Raises UsageError, DataError, MachineError, BusyError, ArtefactError, DivergedError, StoppedError.
    """
    follower, started = fit_follower(follower), time.monotonic()
    own = Own(model if isinstance(model, nn.Module) else None, _function("loss", loss),
              _function("augment_with", augment_with))  # fmt: skip
    source, values = with_target(source, target, settings)
    if own.module is not None:
        values["model.name"] = CUSTOM
    elif model is not None:
        values["model"] = model
    if task is not None and not isinstance(task, TaskKind | Craft):
        values["task"], task = task, None
    with watched() as flag:
        if resume is not None:
            return _resume(resume, source, task, own, values, follower, flag, started)
        if source is None:
            raise UsageError("there is nothing to fit.", fix="give data: gnomon fit DATA, or gnomon fit digits.")
        values, wants_found_rate = _without_auto(_with_model_of_craft(values))
        values |= own.names()
        unasked = {"regularise.augment": "none"} if own.augmentation is not None else {}
        chosen = with_settings_before(findable(fill(from_flat(values), {**(preset or {}), **unasked})))
        follower.on_phase("reading")
        opened = open_data(source, chosen)
        recognised = recognise_work(opened, task)
        if isinstance(recognised, Commission):
            return craft.start(recognised, given_keys(values), follower, flag, started)
        read = read_examples(recognised)
        prepared = split_examples(read)
        if prepared.folds:
            refuse_own_network(own)
        fitted = fit_facts(prepared.fold(0) if prepared.folds else prepared, chosen, own)
        filled = refuse_idle_settings(fill_settings(fitted, chosen, given_keys(values)))
        session = build_model(filled, own.module, started)
        if wants_found_rate or is_worth_a_test(session):
            follower.on_phase("looking for a learning rate")
            session = with_found_rate(session)
        if prepared.folds:
            return start_folds(prepared, session, own, follower, flag)
        name, place = session.settings.run_name or prepared.source.name, Path(session.settings.runs_folder)
        folder = RunFolder.create(place, session.task.name, name, card_of(session))
        with folder.lock():
            return _train_and_judge(folder, session, follower, flag)


def _function(name: str, thing: Any) -> Any:
    """As it came. Raises UsageError for what cannot be called."""
    if thing is not None and not callable(thing):
        raise UsageError(f"{name}={thing!r} is not a function.", fix=f"pass the function itself, in Python: {name}=f.")
    return thing


def _with_model_of_craft(values: dict[str, Any]) -> dict[str, Any]:
    """A craft has no family of models: model=NAME is a setting of the one that declares that name, and chooses it."""
    name = values.get("model", values.get("model.name"))
    if not isinstance(name, str) or name in found.family_names():
        return values
    rest = {key: value for key, value in values.items() if key not in ("model", "model.name")}
    for craft_name in found.craft_names():
        declared = found.craft(craft_name).settings.model_fields.get("model")
        if declared is not None and name in get_args(declared.annotation):
            return {"task": craft_name, **rest, "task.model": name}
    return values


def _without_auto(values: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The settings without learning_rate=auto, and whether it was there."""
    rest = {
        key: value
        for key, value in values.items()
        if not (isinstance(value, str) and value == "auto" and full_key(key) == RATE)
    }
    return rest, len(rest) < len(values)


def _resume(
    path: Place, source: Any, task: TaskKind | Craft | None, own: Own, values: Mapping[str, Any],
    follower: Follower, flag: StopFlag, started: float,
) -> Run | Made:  # fmt: skip
    """Continue a run from its last checkpoint; with a new stop.max_time, also one that the old one cut short."""
    more = from_flat({key: value for key, value in values.items() if full_key(key) == MAX_TIME}).stop.max_time
    others = [key for key in values if full_key(key) not in ("model.name", MAX_TIME)]
    if others:
        raise UsageError(
            f"a resumed run keeps its settings; {', '.join(others)} cannot be changed.",
            fix="leave them out (but for max_time), or start a new run with them.",
        )
    folder, kind = find(path, "runs"), task if isinstance(task, TaskKind) else None
    flag.to_continue(folder.path)
    with folder.lock():
        if folder.is_craft:
            return craft.resume(folder, source, follower, flag, started)
        settings, given = folder.load_settings()
        missing = asked_for(settings, own, "pass it: gnomon.fit(resume=..., {}).")
        if missing is not None:
            raise missing
        if settings.model.name == CUSTOM and own.module is None:  # a run of gnomon 0.1, which kept no name
            raise UsageError("this run trained your own model.", fix="pass it: gnomon.fit(resume=..., model=...).")
        is_cut = more is not None and _is_cut(folder)
        if _is_finished(folder) and not is_cut:
            return Run(folder, kind, own)
        if more is not None:
            settings, given = with_values(settings, {MAX_TIME: more}), given | {MAX_TIME}
            folder.save_settings(settings, given)
        follower.on_phase("reading")
        prepared = prepare_again(
            folder, source, settings, kind,
            in_memory="pass it: gnomon.fit(data, resume=...).",
            moved=f"put it back, or say where it is now: gnomon fit DATA --resume {shlex.quote(str(folder.path))}",
        )  # fmt: skip
        prepared = replace(prepared, why=folder.load_data()["why"])
        if prepared.folds:
            whole = Whole(prepared, settings, given, own, started)
            return train_folds(folder, whole, follower, flag, go_on=is_cut)
        session = open_session(prepared, settings, given, own, started)
        _refuse_other_start(folder, session)
        return _train_and_judge(folder, session, follower, flag, resumed=True, go_on=is_cut)


def _refuse_other_start(folder: RunFolder, session: Session) -> None:
    """Raise UsageError if the weights that a run started from have changed since."""
    before = folder.load_data().get("start")
    if before is not None and (session.start is None or session.start.sha256 != before["sha256"]):
        raise UsageError(
            "the weights that this run started from are not the same any more.", where=before["origin"],
            fix=f"put the file back (its SHA-256 was {before['sha256']}), or start a new run.",
        )  # fmt: skip


def _is_cut(folder: RunFolder) -> bool:
    """Whether its training ended because time was up."""
    return (folder.path / REPORT).is_file() and folder.load_outcome()["ended_because"] == "max_time"


def _is_finished(folder: RunFolder) -> bool:
    """Whether the last file that a fit writes exists and nothing is damaged; if not, a resumed run writes it again."""
    if not (folder.path / REPORT).is_file() or folder.check().bad:
        return False
    return len(folder.history.read()) == folder.load_outcome()["dev_looks"]


def _train_and_judge(
    folder: RunFolder, session: Session, follower: Follower, flag: StopFlag, *, resumed: bool = False,
    go_on: bool = False,
) -> Run:  # fmt: skip
    """The loop from the newest checkpoint (or the start), then the evaluation, then everything is written.

    `go_on`: time was up when it was saved, and now there is more.
    """
    flag.to_continue(folder.path)
    with own_threads_and_randomness(session):
        encoded = encode(session, folder.path)
        state = train_model(encoded, folder, follower, flag, resumed=resumed, go_on=go_on)
        flag.what = "stopped after training, before everything was measured and written."
        with flag.at_once():
            follower.on_phase("judging")
            judged = judge_splits(session, state)
            follower.on_phase("measuring cheap references")
            floor = measure_floor(judged)
            follower.on_phase("writing the report")
            run = Run(folder, judged.task.kind, Own(session.whole, session.task.loss))
            write_run(judged, floor, run)
            return run
