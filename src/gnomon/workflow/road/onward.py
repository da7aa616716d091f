"""Going on from a run of text on other text: weights=RUN keeps its vocabulary, its settings of text, and its whole net.

A net for text knows its pieces by their numbers in a vocabulary: with another one its weights would mean nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.settings import Settings, fill, flat, with_values
from gnomon.core.task import Task
from gnomon.runs.folder import find
from gnomon.runs.names import LATEST
from gnomon.training.state import load_model, tensors_from_bytes
from gnomon.training.weights import Taken
from gnomon.workflow.system import WEIGHTS, System

KEPT = ("data.level", "data.each", "data.window", "data.normalise")  # how a text is read
SLOWER = 0.25  # of the usual learning rate: what was learned is not to be lost in the first steps


def goes_on(settings: Settings) -> bool:
    """Whether weights= names a run, not a file."""
    path = settings.transfer.weights
    return path is not None and (path == LATEST or Path(path).is_dir())


def system_before(settings: Settings) -> System:
    """The system of the run that weights= names. Raises UsageError for a run that cannot be gone on from."""
    folder = find(settings.transfer.weights or LATEST, settings.runs_folder)
    folder.require_ladder()
    system = System(folder.load_model(), str(folder.path / "model"))
    if not system.task.head.goes_on:
        raise UsageError(
            f"weights={folder.path} is a run of {system.task.kind.title}, which other data cannot go on from.",
            fix=f"give its file of weights: weights={folder.path / 'model' / WEIGHTS}.",
        )
    return system


def with_settings_before(settings: Settings) -> Settings:
    """The settings that a net of text cannot do without, from the run that weights= names, if it names one.

    Raises UsageError where one of them was set to something else.
    """
    if not goes_on(settings):
        return settings
    system = system_before(settings)
    before, now = flat(system.settings), flat(settings)
    own = {key: value for key, value in before.items() if key.startswith("model.")}
    kept: dict[str, Any] = {"task.name": system.task.kind.name, **{key: before[key] for key in KEPT}, **own}
    kept["data.each"] = getattr(system.task.encoder, "each", None)
    for key, value in kept.items():
        if now.get(key) not in (None, value, False):
            raise UsageError(f"{key}={now[key]}, but the run that weights= names has {value}.", fix=f"leave {key} out.")
    path = str(Path(system.where).parent)
    named = fill(settings, {"task.name": kept.pop("task.name"), "model.name": kept.pop("model.name")})
    return with_values(named, {**{key: value for key, value in kept.items() if value}, "transfer.weights": path})


def with_facts_before(task: Task, settings: Settings) -> Task:
    """The task with the facts of the run that weights= names, if it names one."""
    if not goes_on(settings):
        return task
    before = system_before(settings).task
    return replace(task, encoder=before.encoder, head=before.head, judge=before.judge)


def recipe_onward(recipe: dict[str, Any]) -> dict[str, Any]:
    """What is filled in (full keys) for a net that goes on, where `recipe` is for one that begins."""
    plain = {"transfer.freeze": "none", "transfer.pretrained": False, "transfer.backbone_rate": 1.0}
    return {**plain, "optimiser.learning_rate": SLOWER * recipe.get("optimiser.learning_rate", 1e-3)}


def load_before(model: nn.Module, settings: Settings) -> Taken:
    """Copy the whole net of the run that weights= names. Raises ArtefactError where it does not fit."""
    system = system_before(settings)
    tensors = tensors_from_bytes(system.files, WEIGHTS, system.where)
    load_model(model, tensors, f"{system.where}/{WEIGHTS}")
    digest = hashlib.sha256(system.files[WEIGHTS]).hexdigest()
    return Taken(str(Path(system.where).parent), digest, "", len(tensors), (), (), ())
