"""Model families, one file each, found by name; and the way from settings to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import Wanted
from gnomon.core.found import CUSTOM
from gnomon.core.settings import Settings
from gnomon.core.task import Task

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CUSTOM", "build"]


def build(task: Task, settings: Settings) -> nn.Module:
    """The model of these settings (filled in) for this task, drawn from torch's global generator.

    Raises UsageError for a family that does not take the task's inputs, or settings that do not fit it.
    """
    name = settings.model.name or task.kind.model
    family, inputs = found.family(name), task.encoder.inputs
    if inputs.modality not in family.takes:
        fitting = [one for one in found.family_names() if inputs.modality in found.family(one).takes]
        raise UsageError(
            f"model={name} takes inputs of the kind {' or '.join(family.takes)}, and {task.kind.title} has "
            f"{inputs.modality} inputs.",
            fix=f"use model={' or model='.join(fitting)}.",
        )
    own = family.settings.model_validate(settings.model.own)

    def body(num_outputs: int | None) -> nn.Module:
        if num_outputs is None and not family.gives_features:
            raise UsageError(
                f"model={name} cannot be built without its last layer, as {task.kind.title} needs it.",
                fix="use another model: gnomon models lists them.",
            )
        return family.build(Wanted(name, inputs, own, tuple(settings.regularise.dropout or ()), num_outputs))

    return task.head.build(body)
