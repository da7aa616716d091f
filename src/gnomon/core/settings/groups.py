"""Every setting: one typed, documented, validated place each. None means: chosen by task and data size.

The groups `task` and `model` are open: besides a name, each has the settings that the task or the model family
declares, and no others. A setting that is a knob says so in its field (core/knobs.py): the link of the chain it acts
on, what it needs in order to have an effect, how it is turned further and how a search samples it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from gnomon.core.knobs import (
    AUGMENTATION,
    CLASSES,
    COLUMNS,
    DRAWN_LAYERS,
    DRAWN_WEIGHTS,
    DROPOUT,
    LAYOUT,
    PICTURES,
    SOFT_LABELS,
    TARGET_DATA,
    Knob,
    Link,
    Search,
    Step,
)
from gnomon.core.settings import steps
from gnomon.core.settings.transfer import TransferSettings
from gnomon.core.settings.types import (
    MOST,
    Group,
    HumanLevel,
    Names,
    OpenGroup,
    Rates,
    RateTable,
    Seconds,
    Threads,
    setting,
)

FIT_TRAIN: tuple[Link, ...] = ("fit-train",)
FIT_DEV: tuple[Link, ...] = ("fit-dev",)
WITH_MOMENTUM = ("optimiser.name", ("momentum", "nesterov", "adam", "adamw"))
WITH_SQUARES = ("optimiser.name", ("rmsprop", "adam", "adamw"))
WITH_DECAY = ("schedule.name", ("inverse", "exponential", "staircase", "root"))


class DataSettings(Group):
    """What is read, and how."""

    target: Names | None = setting(None, "the column or columns to predict (tables)", Knob(needs=COLUMNS))
    target_data: str | None = setting(None, "data from the target distribution: dev and test come from it")
    labels: str | None = setting(
        None,
        "a CSV of corrected labels (id, label), as gnomon labels writes it; the data is not changed",
        Knob(FIT_TRAIN, needs=CLASSES),
    )
    group: str | None = setting(
        None, "column of groups that are never split across train, dev and test (patient, speaker)", Knob(needs=COLUMNS)
    )
    time: str | None = setting(
        None, "column to split by time: train on the past, evaluate on the future", Knob(needs=COLUMNS)
    )
    ignore: Names = setting((), "columns to ignore", Knob(needs=COLUMNS))
    delimiter: str | None = setting(
        None, "field separator of text tables, if the detected one is wrong", Knob(needs=COLUMNS)
    )
    encoding: str | None = setting(None, "text encoding of tables, if the detected one is wrong", Knob(needs=COLUMNS))
    decimal: Literal[".", ","] | None = setting(
        None, "decimal mark of numbers in text tables, if it is ambiguous", Knob(needs=COLUMNS)
    )
    missing: Names = setting(
        ("",), "cells that mean unknown; only empty cells by default (NA may be a name)", Knob(needs=COLUMNS)
    )
    layout: Literal["NHW", "NHWC", "NCHW", "NT", "NCT", "NTC", "NDHW", "NCDHW", "NDHWC"] | None = setting(
        None,
        "the axes of an array: N examples, C channels, T steps in time, D slices, H rows, W columns",
        Knob(needs=LAYOUT),
    )
    image_size: int | None = setting(
        None, "pictures are resized to this many pixels per side", Knob(needs=PICTURES), ge=4, le=2048
    )
    max_bad: float = setting(
        0.05, "largest share of unreadable files that a run tolerates", Knob(needs=PICTURES), ge=0, le=1
    )
    max_pixels: int = setting(
        50_000_000, "pictures with more pixels than this are refused unread", Knob(needs=PICTURES), ge=1, le=10**12
    )


class SplitSettings(Group):
    """How examples are split if the source has no splits of its own."""

    dev: float | None = setting(None, "share of examples for dev (by size: 20 % down to 1 %)", gt=0, lt=1)
    test: float | None = setting(None, "share of examples for test (0: none)", ge=0, lt=1)
    folds: int | None = setting(
        None,
        "for small sets: this many models, each judged on the examples that it did not train on, instead of one dev "
        "split; they predict together",
        ge=2,
        le=50,
    )
    train_dev: float | None = setting(
        None,
        "share of train held out as train-dev when target_data is given",
        Knob(needs=TARGET_DATA),
        gt=0,
        lt=1,
    )
    duplicates: Literal["report", "drop"] = setting(
        "report",
        "copies of dev or test examples found in train: report them, or drop them from train",
        Knob(("fit-test",)),
    )


class TaskSettings(OpenGroup):
    """The task, and the settings that it declares."""

    name: str | None = setting(None, "the task, if the recognised one is wrong")


class ModelSettings(OpenGroup):
    """The network: its family by name, and the settings that the family declares."""

    name: str | None = setting(
        None,
        "the model; gnomon models lists them all",
        Knob(
            FIT_TRAIN,
            steps=(
                Step(
                    "larger model",
                    "fit-train",
                    steps.beyond_linear,
                    "a network with hidden layers fits what a linear model cannot",
                    0.6,
                    cost=4.0,
                ),
                Step(
                    "larger model",
                    "fit-train",
                    steps.next_in_family,
                    "a larger network fits its training examples better",
                    0.05,
                    cost=1.7,
                ),
            ),
        ),
    )


class InitSettings(Group):
    """How weights are initialised."""

    name: Literal["zeros", "small", "xavier", "glorot", "he"] | None = setting(
        None,
        "zeros; small = 0.01 N(0,1); xavier = sqrt(1/n_in); glorot = sqrt(2/(n_in+n_out)); he = sqrt(2/n_in)",
        Knob(
            FIT_TRAIN,
            needs=DRAWN_WEIGHTS,
            steps=(
                Step(
                    "usual start",
                    "fit-train",
                    steps.usual_start,
                    "weights that start at or near 0 make signals vanish",
                    0.3,
                ),
            ),
        ),
    )
    scale: float = setting(
        1.0,
        "factor on the weights the scheme draws (except the last layer)",
        Knob(
            FIT_TRAIN,
            needs=DRAWN_LAYERS,
            steps=(
                Step(
                    "usual scale",
                    "fit-train",
                    steps.usual_scale,
                    "starting weights of an unusual size saturate units or make signals vanish",
                    0.3,
                ),
            ),
            search=(Search("log"),),
        ),
        gt=0,
    )


class RegulariseSettings(Group):
    """What keeps a network from memorising its training examples."""

    weight_decay: float | None = setting(
        None,
        "decoupled weight decay, on weights only",
        Knob(
            FIT_DEV,
            steps=(
                Step("more weight decay", "fit-dev", steps.more_decay, "smaller weights generalise better", 0.03),
                Step("less weight decay", "fit-train", steps.less_decay, steps.LEARNS_LESS, steps.gain_of_less_decay),
            ),
            search=(Search("log", 3, lambda value, _: (value / 50, 10 * value) if value else (1e-4, 1.0)),),
        ),
        ge=0,
    )
    l2: float | None = setting(
        None,
        "lambda of the loss term lambda/(2 m) * sum(w^2), on weights only",
        Knob(
            FIT_DEV,
            steps=(Step("no L2", "fit-train", lambda value, _: 0.0 if value else None, steps.LEARNS_LESS, 0.05),),
            search=(Search("log"),),
        ),
        ge=0,
    )
    l1: float = setting(
        0.0,
        "lambda of the loss term lambda/m * sum(|w|), on weights only",
        Knob(FIT_DEV, search=(Search("log"),)),
        ge=0,
    )
    dropout: Rates | None = setting(
        None,
        "probability of zeroing a unit: one value, or one per hidden layer",
        Knob(
            FIT_DEV,
            needs=DROPOUT,
            steps=(
                Step("more dropout", "fit-dev", steps.more_dropout, "dropout keeps it from memorising examples", 0.04),
                Step("less dropout", "fit-train", steps.less_dropout, steps.LEARNS_LESS, steps.gain_of_less_dropout),
            ),
            search=(Search("linear", 3, lambda _value, _: (0.0, 0.5)),),
        ),
    )
    label_smoothing: float | None = setting(
        None,
        "probability spread over all classes",
        Knob(
            FIT_DEV,
            needs=SOFT_LABELS,
            steps=(
                Step(
                    "label smoothing",
                    "fit-dev",
                    lambda value, _: None if value else 0.1,
                    "less confident predictions generalise better",
                    0.03,
                ),
            ),
        ),
        ge=0,
        lt=1,
    )
    augment: Literal["none", "shift", "shift+mirror", "shift+mirror+cutout"] | None = setting(
        None,
        "random changes to training pictures; cutout hides a square of half the side",
        Knob(
            FIT_DEV,
            needs=AUGMENTATION,
            steps=(
                Step(
                    "more augmentation",
                    "fit-dev",
                    steps.more_augmentation,
                    "changed copies of training pictures are the cheapest new data",
                    lambda value, _: 0.12 if value in (None, "none") else 0.04,
                ),
                Step(
                    "no augmentation",
                    "fit-train",
                    lambda value, _: "none" if value not in (None, "none") else None,
                    steps.LEARNS_LESS,
                    0.07,
                ),
            ),
        ),
    )
    ema: float = setting(
        0.0,
        "decay of the moving average of weights that is evaluated and kept (0: off)",
        Knob(
            FIT_DEV,
            steps=(
                Step(
                    "averaged weights",
                    "fit-dev",
                    lambda value, _: None if value else 0.99,
                    "the average of the last weights is steadier than the last ones",
                    0.03,
                ),
            ),
            search=(Search("1 - beta, log"),),
        ),
        ge=0,
        lt=1,
    )


class OptimiserSettings(Group):
    """How a step is computed."""

    name: Literal["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"] | None = setting(
        None,
        "update rule",
        Knob(
            FIT_TRAIN,
            steps=(
                Step("adaptive steps", "fit-train", steps.adaptive, "steps scaled to each weight get further", 0.2),
            ),
        ),
    )
    learning_rate: float | None = setting(
        None,
        "peak step size (fit also takes auto: found by a range test)",
        Knob(
            FIT_TRAIN,
            steps=(
                Step(
                    "higher rate", "fit-train", steps.scaled_rate(3), "larger steps get further in the same time", 0.06
                ),
                Step(
                    "lower rate",
                    "fit-train",
                    steps.scaled_rate(1 / 3),
                    "smaller steps converge where larger ones overshoot",
                    0.02,
                ),
            ),
            search=(Search("log", 1, steps.rates),),
        ),
        gt=0,
    )
    batch_size: int | None = setting(
        None,
        "examples per step (0: all of them)",
        Knob(
            FIT_TRAIN,
            steps=(
                Step(
                    "smaller batches",
                    "fit-train",
                    lambda value, _: value // 2 if value and value >= 32 else None,
                    "more steps from the same examples",
                    0.05,
                ),
            ),
            search=(Search("powers of two", 2, steps.batches),),
        ),
        ge=0,
        le=MOST,
    )
    momentum: float = setting(
        0.9,
        "beta of momentum and nesterov; beta_1 of adam",
        Knob(FIT_TRAIN, when=WITH_MOMENTUM, search=(Search("1 - beta, log", 2, lambda _value, _: (0.8, 0.99)),)),
        ge=0,
        lt=1,
    )
    beta2: float = setting(
        0.999,
        "beta_2 of adam; beta of rmsprop",
        Knob(FIT_TRAIN, when=WITH_SQUARES, search=(Search("1 - beta, log", 2, steps.squares),)),
        ge=0,
        lt=1,
    )
    epsilon: float = setting(
        1e-8,
        "added to the square root in adam and rmsprop",
        Knob(FIT_TRAIN, when=WITH_SQUARES, search=(Search("log"),)),
        gt=0,
    )
    clip_norm: float = setting(
        0.0, "largest norm of the gradient (0: not clipped)", Knob(FIT_TRAIN, search=(Search("log"),)), ge=0
    )
    clip_value: float = setting(
        0.0,
        "largest absolute value of a gradient entry (0: not clipped)",
        Knob(FIT_TRAIN, search=(Search("log"),)),
        ge=0,
    )


class ScheduleSettings(Group):
    """How the learning rate changes."""

    name: (
        Literal["constant", "cosine", "one-cycle", "inverse", "exponential", "staircase", "root", "discrete"] | None
    ) = setting(
        None,
        "constant; cosine; one-cycle; inverse = 1/(1+decay*epoch); exponential = decay^epoch; staircase = decay every "
        "`every` epochs; root = decay/sqrt(epoch); discrete = the rates of `table`",
        Knob(FIT_TRAIN),
    )
    warmup: float | None = setting(
        None,
        "share of all steps spent rising to the learning rate: 0.05 for cosine, 0.3 for one-cycle, otherwise 0",
        Knob(FIT_TRAIN),
        ge=0,
        lt=1,
    )
    decay: float | None = setting(
        None,
        "the decay of inverse, exponential, staircase or root",
        Knob(FIT_TRAIN, when=WITH_DECAY, search=(Search("log"),)),
        gt=0,
    )
    every: int = setting(
        10, "epochs per stair of staircase", Knob(FIT_TRAIN, when=("schedule.name", ("staircase",))), ge=1, le=MOST
    )
    table: RateTable | None = setting(
        None,
        "learning rates and the epochs they start at, for discrete, e.g. 1:0.1,30:0.01",
        Knob(FIT_TRAIN, when=("schedule.name", ("discrete",))),
    )


class StopSettings(Group):
    """When training ends."""

    epochs: int | None = setting(
        None,
        "passes over train",
        Knob(
            FIT_TRAIN,
            steps=(
                Step(
                    "longer",
                    "fit-train",
                    lambda value, _: 2 * value if value and 2 * value <= steps.LONGEST else None,
                    "longer training fits the training examples better",
                    0.1,
                    cost=2.0,
                ),
            ),
            search=(Search("whole, log"),),
        ),
        ge=1,
        le=MOST,
    )
    max_time: Seconds | None = setting(None, "hard limit for the whole fit: 90, 90s, 10m, 1.5h")
    patience: int = setting(
        0,
        "stop after this many epochs without a better dev error (0: off)",
        Knob(
            ("fit-train", "fit-dev"),
            steps=(
                Step(
                    "no early stopping",
                    "fit-train",
                    lambda value, _: 0 if value else None,
                    "stopping early keeps it from fitting train",
                    0.04,
                    cost=1.5,
                ),
            ),
            search=(Search("whole, log"),),
        ),
        ge=0,
        le=MOST,
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
        "chosen on dev",
        Knob(needs=CLASSES),
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
