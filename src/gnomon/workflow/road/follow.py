"""Progress events of a fit, for whoever listens: the command line, a notebook, or nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gnomon.checks.shapes_and_cost import LayerRow
from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.training.loop import Watcher
from gnomon.workflow.road.split import Prepared


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
    """Listens to a fit."""

    def on_phase(self, text: str) -> None:
        """Something that may take a while begins: "reading", "judging", "writing the report"."""

    def on_ready(self, ready: Ready) -> None:
        """Training is about to start."""

    def on_nudge(self, row: Mapping[str, Any]) -> None:
        """A setting was changed during training: a row of the diary."""


@dataclass
class Silent:
    """A follower that prints nothing."""

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
