"""Settings of what is trained: the task, the model, and the weights it begins with."""

from __future__ import annotations

from typing import Literal

from gnomon.core.knobs import (
    DRAWN_LAYERS,
    DRAWN_WEIGHTS,
    Knob,
    Search,
    Step,
)
from gnomon.core.settings import steps
from gnomon.core.settings.types import (
    FIT_TRAIN,
    Group,
    OpenGroup,
    setting,
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
