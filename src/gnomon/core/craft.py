"""Craft: work without examples to judge. It makes something, and says what it measures where a task has a ladder.

Style transfer, word vectors, a generator with its critic: there is no answer that could be right or wrong, so nothing
is divided into train, dev and test, and nothing is diagnosed. A craft shares what does not depend on that: the run
folder, the settings, checkpoints that resume bit for bit, the progress line, the report.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gnomon.core.settings import OwnSettings

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from matplotlib.figure import Figure

    from gnomon.core.parts import Claim, View
    from gnomon.core.settings import DataSettings, Settings
    from gnomon.data.source import Source


@dataclass(frozen=True)
class Measure:
    """A number that says how the work stands."""

    name: str  # "distance from the picture"
    unit: str = ""  # "nats", "words"; evaluation.SHARE: shown in percent; "": a plain number
    better: Literal["less", "more", "neither"] = "neither"


@dataclass(frozen=True)
class Material:
    """What a craft works on, as it was read."""

    content: Any
    summary: str  # what a person calls it: "a text of 5,432 words"
    fingerprint: str  # of all that was read: a resumed run goes on with the same, or not at all
    notes: tuple[str, ...] = ()


class Craft(abc.ABC):
    """One kind of work: the `CRAFT` of a folder of gnomon/crafts is an instance of a final class.

    What is made is a torch module: its parameters and buffers are all there is to it. Each of its `players` has a loss
    and an optimiser of its own; they take turns within a step. What must be answered is abstract; a hook that most
    crafts have no use for does nothing unless one defines it.
    """

    name: ClassVar[str]  # the folder's name
    title: ClassVar[str]  # what a person calls it: "word vectors"
    measures: ClassVar[tuple[Measure, ...]]  # the first is the one to look at
    settings: ClassVar[type[OwnSettings]] = OwnSettings
    acts: ClassVar[frozenset[str]] = frozenset()  # full keys of settings that it reads, beside those of every craft

    @abc.abstractmethod
    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        """Whether this source is for this work, as a task's reader says it. None: certainly not."""

    @abc.abstractmethod
    def read(self, source: Source, settings: DataSettings) -> Material:
        """All that is worked on. Raises DataError naming file and line."""

    @abc.abstractmethod
    def write_sample(self, folder: Path, seed: int) -> Path:
        """Write a tiny source of this kind; returns what to pass to `fit`."""

    def defaults(self, material: Material, settings: Settings) -> Mapping[str, Any]:
        """Settings (full keys) for this material, where `settings`, as the user gave them, say nothing."""
        return {}

    @abc.abstractmethod
    def begin(self, material: Material, settings: Settings) -> torch.nn.Module:
        """What is made, before the first step; drawn from torch's global generator (the caller seeds it)."""

    @abc.abstractmethod
    def steps_per_epoch(self, material: Material, settings: Settings) -> int:
        """Steps of a pass over the material, or between two measurements where there are no passes; at least 1."""

    def multiply_adds(self, model: torch.nn.Module, material: Material, settings: Settings) -> float:
        """Of one step, forwards, roughly: large steps get more CPU threads."""
        return 0.0

    def players(self, model: torch.nn.Module) -> Mapping[str, torch.nn.Module]:
        """Parts of the model by the name of the loss that each of them minimises, in the order of their turns."""
        return {"loss": model}

    @abc.abstractmethod
    def loss(
        self, model: torch.nn.Module, player: str, material: Material, settings: Settings, chance: torch.Generator
    ) -> torch.Tensor:
        """A scalar for this player's turn. All randomness comes from `chance`, which lives on the CPU."""

    def descend(
        self, model: torch.nn.Module, material: Material, settings: Settings, rate: float, chance: torch.Generator
    ) -> torch.Tensor | None:
        """A whole step of plain gradient descent on the loss of the only player, and that loss, of before.

        For models of which a step touches a few rows: an optimiser would pass over all of them. What it does must equal
        a step of `sgd`, to rounding. A loss that is not finite is returned with nothing changed. None: the settings
        want more than that, or the craft has no such way; then `loss` and the optimiser make the step.
        """
        return None

    def method(self, settings: Settings) -> str:
        """What makes the steps, in a word; `descend` may be something else than the optimiser."""
        return settings.optimiser.name or ""

    def advance(self, model: torch.nn.Module) -> None:  # noqa: B027  # most crafts count nothing
        """After every step: what counts steps is in the model's buffers."""

    @abc.abstractmethod
    def measure(self, model: torch.nn.Module, material: Material, settings: Settings) -> Mapping[str, float]:
        """The value of every measure, by name; the same each time. Called without gradients, in evaluation mode."""

    @abc.abstractmethod
    def outputs(self, model: torch.nn.Module, material: Material) -> Mapping[str, bytes]:
        """The finished thing as files, {name: content}; equal work gives equal bytes."""

    @abc.abstractmethod
    def show(self, model: torch.nn.Module, material: Material) -> Sequence[tuple[str, View]]:
        """A few captions and views for the report: the picture, the nearest words."""

    def figures(self, model: torch.nn.Module, material: Material) -> Mapping[str, Figure]:
        """Drawings for the report, by title: a map of the words."""
        return {}
