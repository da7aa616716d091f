"""Progress events of a fit, for whoever listens: the command line, a notebook, or nobody."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar, cast

from gnomon.checks.shapes_and_cost import LayerRow
from gnomon.core.craft import Craft, Material
from gnomon.core.errors import UsageError
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


@dataclass(frozen=True)
class Begun:
    """What is known just before the first step of a craft."""

    craft: Craft
    material: Material
    settings: Settings
    given: frozenset[str]
    why: str
    parameters: int
    folder: Path
    notes: tuple[str, ...]
    resumed_at: int | None = None  # step


class Follower(Watcher, Protocol):
    """Listens to a fit."""

    def on_phase(self, text: str) -> None:
        """Something that may take a while begins: "reading", "judging", "writing the report"."""

    def on_ready(self, ready: Ready) -> None:
        """Training is about to start."""

    def on_begun(self, begun: Begun) -> None:
        """A craft is about to start: its rows have `measures` in place of errors."""

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

    def on_begun(self, begun: Begun) -> None:
        pass

    def on_nudge(self, row: Mapping[str, Any]) -> None:
        pass

    def on_step(self, epoch: int, batch: int, num_batches: int, loss: float) -> None:
        pass

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        self.rows.append(row)


Kind = TypeVar("Kind")


def listening(follower: Any, silent: Kind) -> Kind:
    """A follower that hears every event of `silent`; those that `follower` has no method for go to `silent`.

    Raises UsageError for a follower with a method for no event, or for one that there is not.
    """
    if follower is None:
        return silent
    events = [name for name in dir(silent) if name.startswith("on_")]
    handled = [name for name in dir(follower) if name.startswith("on_")]
    odd = next((name for name in handled if name not in events), None)
    if odd is not None:
        near = difflib.get_close_matches(odd, events, n=1)
        fix = f"did you mean {near[0]}?" if near else f"the events are {', '.join(events)}."
        raise UsageError(f"the follower has {odd}, and there is no such event.", fix=fix)
    if not handled:
        raise UsageError(
            f"{type(follower).__name__} cannot be a follower: it has a method for no event.",
            fix=f"give it one or more of {', '.join(events)}.",
        )
    return cast("Kind", SimpleNamespace(**{name: getattr(follower, name, getattr(silent, name)) for name in events}))
