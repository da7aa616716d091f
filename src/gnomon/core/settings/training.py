"""Settings of how a model is trained: regularisation, update rule, learning rate over time, and when it ends."""

from __future__ import annotations

from typing import Any, Literal

from gnomon.core.augmentation import KINDS, MIXES, NONE
from gnomon.core.knobs import (
    AUGMENTATION,
    DROPOUT,
    MIXED_TARGETS,
    SOFT_LABELS,
    Knob,
    Search,
    Step,
)
from gnomon.core.settings import steps
from gnomon.core.settings.types import (
    FIT_DEV,
    FIT_TRAIN,
    MOST,
    Augment,
    Group,
    Rates,
    RateTable,
    Seconds,
    setting,
)

WITH_MOMENTUM = ("optimiser.name", ("momentum", "nesterov", "adam", "adamw"))
WITH_SQUARES = ("optimiser.name", ("rmsprop", "adam", "adamw"))
WITH_DECAY = ("schedule.name", ("inverse", "exponential", "staircase", "root"))


def strength_of(name: str) -> Any:
    """The field of one kind of random changes to pictures."""
    kind = KINDS[name]
    needs = MIXED_TARGETS if name in MIXES else AUGMENTATION
    about = f"{kind.meaning} ({kind.strength:g} where augment= names {name}, otherwise 0)"
    return setting(None, about, Knob(FIT_DEV, needs=needs), ge=0, **{"lt" if kind.below else "le": kind.largest})


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
    augment: Augment = setting(
        None,
        "random changes to training pictures: kinds with commas between them (their strengths are the settings that "
        "follow), none, or auto",
        Knob(
            FIT_DEV,
            needs=AUGMENTATION,
            steps=(
                Step(
                    "more augmentation",
                    "fit-dev",
                    steps.more_augmentation,
                    "changed copies of training pictures are the cheapest new data",
                    lambda value, _: 0.12 if value in (None, NONE) else 0.04,
                ),
                Step(
                    "no augmentation",
                    "fit-train",
                    lambda value, _: NONE if value not in (None, NONE) else None,
                    steps.LEARNS_LESS,
                    0.07,
                ),
            ),
        ),
    )
    crop: float | None = strength_of("crop")
    shift: float | None = strength_of("shift")
    rotate: float | None = strength_of("rotate")
    shear: float | None = strength_of("shear")
    warp: float | None = strength_of("warp")
    mirror: float | None = strength_of("mirror")
    updown: float | None = strength_of("updown")
    colour: float | None = strength_of("colour")
    pca: float | None = strength_of("pca")
    cutout: float | None = strength_of("cutout")
    mixup: float | None = strength_of("mixup")
    cutmix: float | None = strength_of("cutmix")
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
    clip_norm: float | None = setting(
        None,
        "largest norm of the gradient (0: not clipped; default: by the model)",
        Knob(FIT_TRAIN, search=(Search("log"),)),
        ge=0,
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
        Literal[
            "constant", "cosine", "one-cycle", "inverse", "exponential", "staircase", "root", "inverse_sqrt", "discrete"
        ]
        | None
    ) = setting(
        None,
        "constant; cosine; one-cycle; inverse = 1/(1+decay*epoch); exponential = decay^epoch; staircase = decay every "
        "`every` epochs; root = decay/sqrt(epoch); inverse_sqrt = sqrt(warm-up steps/step), as Transformers were first "
        "trained; discrete = the rates of `table`",
        Knob(FIT_TRAIN),
    )
    warmup: float | None = setting(
        None,
        "share of all steps spent rising to the learning rate: 0.05 for cosine, 0.1 for inverse_sqrt, 0.3 for "
        "one-cycle, otherwise 0",
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
        "passes over train; 0: the weights it starts from are judged as they are",
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
        ge=0,
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
