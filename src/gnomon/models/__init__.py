"""Model families, one file each, found by name; and the way from settings to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import Wanted
from gnomon.core.found import CUSTOM
from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.models._defaults import transfer_recipe

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CUSTOM", "build", "transfer_recipe"]


def build(task: Task, settings: Settings) -> nn.Module:
    """The model of these settings (filled in) for this task, drawn from torch's global generator.

    Raises UsageError for a family that does not take the task's inputs, or settings that do not fit it.
    """
    name = settings.model.name or task.kind.model
    family, inputs, wants = found.family(name), task.encoder.inputs, task.head.wants
    if inputs.modality not in family.takes:
        raise UsageError(
            f"model={name} takes inputs of the kind {' or '.join(family.takes)}, and {task.kind.title} has "
            f"{inputs.modality} inputs.",
            fix=_instead(inputs.modality, wants),
        )
    if wants not in family.gives:
        raise UsageError(
            f"model={name} gives a {' or '.join(family.gives)}, and {task.kind.title} needs a {wants}.",
            fix=_instead(inputs.modality, wants),
        )
    own = family.settings.model_validate(settings.model.own)

    def body(num_outputs: int | None) -> nn.Module:
        return family.build(Wanted(name, inputs, own, tuple(settings.regularise.dropout or ()), num_outputs, wants))

    return task.head.build(body)


def _instead(modality: str, wants: str) -> str:
    families = {name: found.family(name) for name in found.family_names()}
    fitting = [name for name, one in families.items() if modality in one.takes and wants in one.gives]
    return f"use model={' or model='.join(fitting)}." if fitting else "leave model out."
