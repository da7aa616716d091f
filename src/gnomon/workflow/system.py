"""A trained system: the files that a run keeps in its folder model/, and the task and the network made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, final

from gnomon.core import found
from gnomon.core.errors import ArtefactError, UsageError
from gnomon.core.own import NO_OWN, Missing, Own
from gnomon.core.plain import read_as
from gnomon.core.settings import Settings, from_flat
from gnomon.core.task import Task, TaskKind
from gnomon.models import CUSTOM, build
from gnomon.runs.records import SavedTask
from gnomon.runs.seal import RESTORE, decode_json

if TYPE_CHECKING:
    from torch import nn

TASK, WEIGHTS = "task.json", "weights.safetensors"  # what is needed to predict


def by_fold(files: Mapping[str, bytes], folds: int) -> list[Mapping[str, bytes]]:
    """The files of each fold's system, as `of_folds` named them; the files themselves where there are no folds."""
    if not folds:
        return [files]
    return [
        {name: files[f"{number}-{name}"] for name in (TASK, WEIGHTS) if f"{number}-{name}" in files}
        for number in range(1, folds + 1)
    ]


def of_folds(systems: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
    """The files of several systems in one folder."""
    return {f"{number}-{name}": data for number, files in enumerate(systems, start=1) for name, data in files.items()}


@final
class System:
    """What predicts. Files are read when first used; nothing in them is executed.

    `where` is what messages call their folder. `kind` and `own` are for what is yours; `settings` take the place
    of those in task.json.
    """

    def __init__(
        self, files: Mapping[str, bytes], where: str, *, kind: TaskKind | None = None, own: Own = NO_OWN,
        settings: Settings | None = None,
    ) -> None:  # fmt: skip
        self.files, self.where = dict(files), where
        self._kind, self._own, self._settings = kind, own, settings

    @cached_property
    def _saved(self) -> SavedTask:
        if TASK not in self.files:
            raise ArtefactError(f"has no {TASK}.", where=self.where, fix=RESTORE)
        where = f"{self.where}/{TASK}"
        return read_as(SavedTask, decode_json(self.files[TASK], where), where=where, root="task", fix=RESTORE)

    @cached_property
    def settings(self) -> Settings:
        """All settings, filled in."""
        return self._settings or from_flat(self._saved["settings"])

    @cached_property
    def task(self) -> Task:
        """The task with the facts fitted on the training split."""
        kind = self._kind or found.task(self._saved["task"])
        if kind.name != self._saved["task"]:
            raise UsageError(
                f"this run's task is {self._saved['task']}, not {kind.name}.", fix="pass that task's class."
            )
        name, loss = self.settings.own.loss, self._own.loss
        if name is not None and loss is None:
            loss = Missing(name, "pass it: gnomon.load(path, loss=...).")
        try:
            return replace(kind.from_facts(self._saved["facts"]), loss=loss)
        except ArtefactError as error:  # which knows the field, but not where the file lies
            raise ArtefactError(error.what, where=f"{self.where}/{TASK}", fix=error.fix) from None

    @cached_property
    def model(self) -> nn.Module:
        """The trained network: a plain torch module, in evaluation mode, on the CPU unless you passed it in."""
        from gnomon.training.state import load_model, tensors_from_bytes

        if self._own.module is None and self.settings.model.name == CUSTOM:
            raise UsageError(
                f"this run trained your own model {self.settings.own.module or ''}".rstrip() + ".",
                fix="pass it: gnomon.load(path, model=...).",
            )
        model = self._own.module or build(self.task, self.settings)
        load_model(model, tensors_from_bytes(self.files, WEIGHTS, self.where), f"{self.where}/{WEIGHTS}")
        return model.eval()
