"""Every setting: one typed, documented, validated place each. None means: chosen by task and data size.

The groups `task` and `model` are open: besides a name, each has the settings that the task or the model family
declares, and no others. A setting that is a knob says so in its field (core/knobs.py): the link of the chain it acts
on, what it needs in order to have an effect, how it is turned further and how a search samples it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from gnomon.core.knobs import (
    ANSWERS,
    CLASSES,
    Knob,
)
from gnomon.core.settings.data import DataSettings, SplitSettings
from gnomon.core.settings.model import InitSettings, ModelSettings, TaskSettings
from gnomon.core.settings.training import OptimiserSettings, RegulariseSettings, ScheduleSettings, StopSettings
from gnomon.core.settings.transfer import TransferSettings
from gnomon.core.settings.types import (
    MOST,
    Group,
    HumanLevel,
    Names,
    Seconds,
    Threads,
    setting,
)


class MachineSettings(Group):
    """What the run may use. Changes speed; with the same values a run repeats bit for bit."""

    device: Literal["auto", "cpu", "cuda"] = setting("auto", "where to compute")
    threads: Threads | None = setting(
        None,
        "CPU threads: a number (default: by the size of a step and the cores), or adaptive: also by the load of "
        "the machine, but then a run does not repeat bit for bit",
    )
    allocator: Literal["system", "keep"] | None = setting(
        None,
        "keep: the process keeps freed memory (faster convnets, more memory; default of the command line); "
        "system: it returns it (default in Python)",
    )
    precision: Literal["float32", "bfloat16"] = setting(
        "float32",
        "numbers of the products in training. bfloat16: half the digits, up to twice as fast on processors that have "
        "it, slower on others; weights, losses and evaluation stay in float32",
    )
    micro_batch: int | None = setting(
        None,
        "examples of a batch in memory at a time (default: all, or as many as fit): slower, and the same step unless "
        "there is batch norm, which uses the statistics of each part",
        ge=1,
        le=MOST,
    )
    save_every: Seconds = setting(30.0, "seconds of training between checkpoints")


class GoalSettings(Group):
    """What the system is measured against."""

    metric: str | None = setting(
        None,
        "the metric a classifier is judged by: error, f1, balanced_accuracy, recall@precision>=0.9; thresholds are "
        "chosen on dev. Of boxes, what their threshold is chosen for: f1, recall@precision>=0.9, precision@recall>=0.9",
        Knob(needs=ANSWERS),
    )
    positive: str | None = setting(
        None, "the class that f1 or a recall is about (default: the rarer of two)", Knob(needs=CLASSES)
    )
    costs: Names = setting((), "costs of a mistake on a class, 1 unless given: spam:1,ham:10", Knob(needs=CLASSES))
    class_weights: Literal["none", "balanced"] = setting(
        "none",
        "of examples in the loss: balanced gives every class the same sum, whatever its size",
        Knob(needs=CLASSES),
    )
    human: HumanLevel | None = setting(
        None,
        "human-level error: 0.005; several, of which the lowest counts: 0.03,0.01; or people's answers to measure it "
        "from: PEOPLE.csv",
    )


class OwnParts(Group):
    """What you made and passed to `gnomon.fit` in Python, by name: it is recorded here, and asked for again."""

    module: str | None = setting(None, "class of your own network: fit(model=...)")
    loss: str | None = setting(None, "name of your own loss: fit(loss=...)")
    augmentation: str | None = setting(None, "name of your own augmentation: fit(augment_with=...)")


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Settings(Group):
    """All settings of a run."""

    seed: int = setting(0, "seed of everything random in the run", ge=0, le=2**63 - 1)
    run_name: str | None = setting(None, "name of the run folder, after the time (default: the data's name)")
    runs_folder: str = setting("runs", "where run folders are created", min_length=1)
    task: Annotated[TaskSettings, BeforeValidator(_by_name)] = TaskSettings()
    data: DataSettings = DataSettings()
    split: SplitSettings = SplitSettings()
    model: Annotated[ModelSettings, BeforeValidator(_by_name)] = ModelSettings()
    init: Annotated[InitSettings, BeforeValidator(_by_name)] = InitSettings()
    transfer: TransferSettings = TransferSettings()
    regularise: RegulariseSettings = RegulariseSettings()
    optimiser: Annotated[OptimiserSettings, BeforeValidator(_by_name)] = OptimiserSettings()
    schedule: Annotated[ScheduleSettings, BeforeValidator(_by_name)] = ScheduleSettings()
    stop: StopSettings = StopSettings()
    machine: MachineSettings = MachineSettings()
    goal: GoalSettings = GoalSettings()
    own: OwnParts = OwnParts()

    @property
    def split_seed(self) -> int:
        """What decides which example is in which split."""
        return self.seed if self.split.split_seed is None else self.split.split_seed
