"""Start: which weights from elsewhere a model begins with, how much of it is frozen, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.example import Examples
from gnomon.core.family import Inputs, PictureInputs, Wanted, Weights
from gnomon.core.knobs import SOFT_LABELS
from gnomon.core.settings import Settings, fill
from gnomon.core.task import Task, TaskKind
from gnomon.data.annotated import AnnotatedExamples
from gnomon.data.images import ImageExamples
from gnomon.models import transfer_recipe
from gnomon.nn.stages import freeze_stages, grade_rates, keep_statistics, stages_of
from gnomon.training.distance import distance_from_training
from gnomon.training.weights import Taken, file_of, load_into, read_public, read_tensors

DISTANCE_FROM = 64  # training pictures that the distance from photographs is measured on
FAR = 0.8  # that distance from 160 pixels on; photographs are at 0.3 to 0.8, digits at 0.95 (docs/transfer.md)
EXTRA = "pip install 'gnomon[pretrained]'"
MOST_PICTURES = 2_000  # in train: measured up to here (docs/transfer.md)
SMALLEST_PHOTO = 32  # pixels per side
SMALL_PHOTO, SIDE_OF_SMALL = 64, 160  # pixels per side: pictures up to here gain nothing from a larger size
BEST_FIRST = ("efficientnet-lite0",)  # models with public weights, in the order in which a first model is chosen


@dataclass(frozen=True)
class Start:
    """Settings (full keys) that were chosen before the facts of a task, which depend on them; and why.

    `side` is the size of the pictures the weights were trained on. It is no setting: reading does not depend on it,
    and a run whose data is read again must find the same.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    side: int | None = None
    notes: tuple[str, ...] = ()

    def for_facts(self, settings: Settings) -> Settings:
        """The settings that facts are fitted with."""
        size = {} if self.side is None else {"data.image_size": self.side}
        return fill(settings, {**self.settings, **size})


def public_start(settings: Settings, train: Examples, kind: TaskKind) -> Start:
    """The model and the size of pictures, where it starts from public weights.

    It does if it is asked to, and by default for a few colour photographs: measured (docs/transfer.md). Raises
    UsageError where it is asked to and cannot.
    """
    transfer, name = settings.transfer, settings.model.name or BEST_FIRST[0]
    if transfer.pretrained:
        if not kind.has_pictures:
            raise UsageError(f"pretrained=yes is for pictures; this is {kind.title}.", fix="leave it out.")
        if transfer.weights is not None:
            raise UsageError("pretrained=yes and weights= are two starts for one model.", fix="leave one of them out.")
        if settings.model.name is None and found.family(kind.composed or kind.model).backbone is not None:
            name = kind.composed or kind.model
        weights = public_weights(backbone_of(name, settings))
        if file_of(weights) is None:
            raise UsageError(f"the public weights of {weights.name} are not installed.", fix=f"{weights.how_to_get}.")
        return Start({"model.name": name}, _side(weights, train))
    special = found.family(name).weights_of(name)
    if transfer.weights is not None and special is not None and not special.is_general:
        return Start(side=_side(special, train))  # a net for one kind and size of pictures
    if found.family(settings.model.name or kind.composed or kind.model).backbone is not None:
        return _composed_start(settings, train, kind)
    if not _is_better_from_elsewhere(settings, train):
        return Start()
    weights, what = public_weights(name), f"{len(train):,} colour pictures"
    if file_of(weights) is None:
        return Start(notes=(f"{what} are better served by the public weights of {name}: {EXTRA}",))
    start = {"model.name": name, "transfer.pretrained": True}
    return Start(
        start,
        _side(weights, train),
        (f"for {what}, public weights were measured to be better (pretrained=no starts from scratch)",),
    )


def _composed_start(settings: Settings, train: Examples, kind: TaskKind) -> Start:
    """Of a net with a backbone inside: public weights for colour pictures where there are any."""
    transfer, name = settings.transfer, settings.model.name or kind.composed or kind.model
    is_open = (transfer.pretrained, transfer.weights) == (None, None)
    is_open = is_open and (settings.model.name is not None or not settings.model.own)
    backbone = backbone_of(name, settings)
    weights = found.family(backbone).weights_of(backbone)
    if not is_open or weights is None or not getattr(train, "is_colour", False):
        return Start()
    if file_of(weights) is None:
        return Start(notes=(f"colour pictures are better served by the public weights of {backbone}: {EXTRA}",))
    return Start({"model.name": name, "transfer.pretrained": True})


def backbone_of(name: str, settings: Settings) -> str:
    """The net that weights from elsewhere are for: of a composed net its backbone, else the net itself."""
    family = found.family(name)
    if family.backbone is None:
        return name
    return family.backbone(family.settings.model_validate(settings.model.own))


def _side(weights: Weights, train: Examples) -> int | None:
    """Pixels per side that pictures are resized to: what the weights were trained on, less for small pictures.

    None for annotated pictures, whose tasks have sizes of their own.
    """
    if isinstance(train, AnnotatedExamples):
        return None
    is_small = isinstance(train, ImageExamples) and int(train.sizes().max()) <= SMALL_PHOTO
    return min(weights.side, SIDE_OF_SMALL) if is_small else weights.side


def _is_better_from_elsewhere(settings: Settings, train: Examples) -> bool:
    """Whether public weights are the better start by measurement, and the user left the choice open."""
    transfer = settings.transfer
    is_open = (
        settings.model.name is None
        and not settings.model.own
        and (transfer.pretrained, transfer.weights, transfer.freeze, transfer.backbone_rate) == (None,) * 4
        and settings.data.image_size is None
        and settings.regularise.augment is None
    )
    if not is_open or not isinstance(train, ImageExamples) or len(train) > MOST_PICTURES:
        return False
    return int(train.sizes().min()) >= SMALLEST_PHOTO and train.is_colour


def public_weights(name: str) -> Weights:
    """Of that model. Raises UsageError if there are none."""
    weights = found.family(name).weights_of(name)
    if weights is None:
        having = ", ".join(BEST_FIRST)
        raise UsageError(
            f"there are no public weights of {name} in a package.",
            fix=f"use model={having}, or give a file of its weights: weights=FILE.",
        )
    return weights


def transfer_settings(settings: Settings, task: Task, num_train: int) -> dict[str, Any]:
    """What is filled in (full keys) for a model that starts from elsewhere or is frozen: `settings` has its name.

    By default its last stage is trained, and what follows it: measured (docs/transfer.md).
    """
    transfer = settings.transfer
    starts = bool(transfer.pretrained) or transfer.weights is not None
    if not starts and transfer.freeze in (None, "none", "auto"):
        return {"transfer.freeze": "none", "transfer.pretrained": False, "transfer.backbone_rate": 1.0}
    freeze = transfer.freeze
    family = found.family(settings.model.name or "")
    if family.backbone is not None:
        plain = {"transfer.freeze": "none", "transfer.pretrained": False, "transfer.backbone_rate": 1.0}
        return {**plain, **(family.start if starts else {})}
    if freeze in (None, "auto"):
        freeze = max(0, _stages_of(settings, task.encoder.inputs) - 1)
    recipe = transfer_recipe(num_train, is_frozen=freeze == "backbone")
    if SOFT_LABELS not in task.head.abilities:
        recipe.pop("regularise.label_smoothing", None)
    return {**recipe, "transfer.freeze": freeze, "transfer.pretrained": False}


def _stages_of(settings: Settings, inputs: Inputs) -> int:
    name = settings.model.name or ""
    family = found.family(name)
    with torch.device("meta"):
        own = family.settings.model_validate(settings.model.own)
        return len(stages_of(family.build(Wanted(name, inputs, own, tuple(settings.regularise.dropout or ()), 1))))


def start_from_elsewhere(model: nn.Module, settings: Settings) -> Taken | None:
    """Copy the weights of the settings into the model, freeze its stages, set their rates.

    Raises UsageError, ArtefactError.
    """
    transfer, whole = settings.transfer, settings.model.name or ""
    name, taken = backbone_of(whole, settings), None
    family, chosen = found.family(name), None
    if name == whole:
        chosen = family.settings.model_validate(settings.model.own)
    else:
        model = model.get_submodule("backbone")
    if transfer.pretrained:
        weights = public_weights(name)
        taken = load_into(model, read_public(weights, f"{name}, which this starts from,"), family, name, weights,
                          chosen=chosen)  # fmt: skip
    elif transfer.weights is not None:
        taken = load_into(model, read_tensors(Path(transfer.weights)), family, name, chosen=chosen)
    if taken is not None and found.family(whole).keeps_statistics:
        keep_statistics(model)
    if transfer.freeze not in (None, "none", "auto"):
        freeze_stages(model, transfer.freeze, name)
    if (transfer.backbone_rate or 1.0) < 1.0 and transfer.freeze != "backbone":
        grade_rates(model, transfer.backbone_rate or 1.0)
    return taken


def notes_on_start(settings: Settings, taken: Taken | None) -> list[str]:
    """Sentences on what the model starts from, and what of it stays."""
    transfer, name, notes = settings.transfer, backbone_of(settings.model.name or "", settings), []
    frozen = f"its first {transfer.freeze} stages stay as they are (freeze=none trains them)"
    if transfer.freeze == 1:
        frozen = "its first stage stays as it is (freeze=none trains it)"
    if transfer.freeze in ("none", "backbone", 0):
        is_whole = transfer.freeze != "backbone"
        frozen = "all of it is trained" if is_whole else "all but its last layer stays as it is (freeze=none trains it)"
    if taken is not None:
        what = "public weights" if transfer.pretrained else "weights"
        about = f" trained on {public_weights(name).trained_on}" if transfer.pretrained else ""
        names = f", with the names of {taken.library}" if taken.library and not transfer.pretrained else ""
        notes.append(f"{name} starts from {what}{about} ({taken.origin}{names}); {frozen}")
        if taken.caution:
            notes.append(taken.caution)
        if not taken.mean and not transfer.pretrained:
            notes.append("the file does not say how its inputs were normalised: by the mean of these pictures")
    elif transfer.freeze not in (None, "none"):
        notes.append(f"{name} starts from weights drawn at random, and {frozen}; weights=FILE starts from known ones")
    return notes


def notes_on_distance(task: Task, model: nn.Module, settings: Settings, train: Examples) -> list[str]:
    """A sentence where the training pictures look unlike those that public weights come from, and stages are frozen.

    From one batch. Of composed nets nothing is known, since their pictures have margins, nor of small pictures.
    """
    transfer, name = settings.transfer, settings.model.name or ""
    inputs = cast(PictureInputs, task.encoder.inputs)  # public weights are for pictures
    if not transfer.pretrained or transfer.freeze in ("none", 0) or backbone_of(name, settings) != name:
        return []
    if min(inputs.height, inputs.width) < SIDE_OF_SMALL:
        return []
    chosen = np.linspace(0, len(train) - 1, min(len(train), DISTANCE_FROM)).astype(np.int64)
    device = next(model.parameters()).device
    batch = task.batch(task.encoder.encode(train.take(chosen)), torch.arange(len(chosen)), device)
    distance = distance_from_training(model, lambda: task.outputs(model, batch))
    if distance is None or distance < FAR:
        return []
    measured = f"distance {distance:.2f}, photographs: 0.3 to 0.8"
    what = f"to this net these pictures look unlike the photographs it was trained on ({measured})"
    return [f"{what}: its frozen stages may serve them little (freeze=none trains them)"]
