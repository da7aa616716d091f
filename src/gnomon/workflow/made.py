"""What a craft made: its run, read back. The counterpart of `Run`, with measures in place of a ladder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import final

from gnomon.core.errors import UsageError
from gnomon.core.settings import Settings
from gnomon.runs.folder import RunFolder, find
from gnomon.runs.names import REPORT, Place
from gnomon.runs.records import CraftCard, CraftOutcome, MeasuredRow
from gnomon.workflow.run import Run, load


@final
class Made:
    """The run of a craft and its folder. Files are read, and checked against the manifest, when first used."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @staticmethod
    def open(path: Place) -> Made:
        """The run at `path`, or "latest". Raises UsageError for one that no craft made."""
        folder = find(path, "runs")
        if not folder.is_craft:
            raise UsageError("was not made by a craft.", where=str(folder.path), fix="open it with gnomon.load.")
        return Made(folder)

    def __repr__(self) -> str:
        return f"Made({str(self.path)!r})"

    def _repr_html_(self) -> str:
        from gnomon.workflow.notebook import made_html

        return made_html(self)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def report(self) -> Path:
        """The self-contained page."""
        return self.path / REPORT

    @cached_property
    def settings(self) -> Settings:
        """All settings, filled in."""
        return self.folder.load_settings()[0]

    @property
    def card(self) -> CraftCard:
        """What it was made of, and what is measured."""
        return self.folder.load_craft()

    @property
    def history(self) -> list[MeasuredRow]:
        """One row per epoch."""
        return self.folder.measured.read()

    @property
    def measures(self) -> dict[str, float]:
        """The measures as they are now; empty before the first epoch."""
        rows = self.history
        return dict(rows[-1]["measures"]) if rows else {}

    @property
    def outcome(self) -> CraftOutcome | None:
        """How the making went; None while it is being made."""
        return self.folder.load_craft_outcome()

    @property
    def outputs(self) -> Mapping[str, bytes]:
        """What was made, by file name, as in the folder `outputs`. Raises UsageError before there is anything."""
        if self.outcome is None:
            fix = f"let it finish: gnomon fit --resume {self.path}"
            raise UsageError("has no outputs yet.", where=str(self.path), fix=fix)
        return self.folder.load_outputs()


def reopen(path: Place) -> Run | Made:
    """The run at `path`, or "latest": a task's, or a craft's."""
    if isinstance(path, Run | Made):
        return path
    folder = find(path, "runs")
    return Made(folder) if folder.is_craft else load(folder)


def with_ladder(found: Run | Made) -> Run:
    """The run of a task. Raises UsageError for what a craft made: it has no ladder."""
    found.folder.require_ladder()
    assert isinstance(found, Run)
    return found
