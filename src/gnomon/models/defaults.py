"""The first model and how it is trained, by the size and kind of the data: measured, see docs/log.md."""

from __future__ import annotations

import math
from typing import Any

LARGE_PICTURE = 48  # pixels a side from which a convnet starts with fewer channels and gets a fourth stage
TABLE_STEPS = 2_000  # optimizer steps that a small table is trained for


def image_defaults(num_train: int, height: int, width: int, channels: int, model: str | None = None) -> dict[str, Any]:
    """Settings (full keys) for `num_train` pictures of `channels` x `height` x `width`.

    `model`: the architecture, where the user chose one. Moved pictures teach a convnet; a net that looks at every pixel
    by its place only gets worse.
    """
    moves_with_the_picture = model not in ("dense", "logistic", "linear")
    is_colour, side = channels == 3, min(height, width)
    stages: tuple[int, ...]
    hidden: tuple[int, ...]
    if side >= LARGE_PICTURE:
        stages, hidden = (16, 32, 64, 128), (128,)
    elif is_colour:
        stages, hidden = (32, 64, 128), ()
    else:
        stages, hidden = (32, 64), (128,)
    augment = "shift+mirror" if is_colour else "shift"  # gray ones are often characters
    if not moves_with_the_picture:
        augment = "none"
    stages = stages[: int(math.log2(side))]  # each halves the picture
    return {
        "model.name": "convnet",
        "model.channels": stages,
        "model.hidden": hidden,
        "model.activation": "relu",
        "model.normalisation": "batch",
        "init.name": "he",
        "regularise.weight_decay": 0.05,
        "regularise.dropout": (0.3,) if hidden else (),
        "regularise.augment": augment,
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 4e-3,
        "optimiser.batch_size": 64 if num_train >= 1_000 else 32,
        "schedule.name": "cosine",
        # 60 passes over a thousand pictures, 31 over five thousand, 12 from fifty thousand on
        "stop.epochs": round(min(60.0, max(12.0, 60 * (1_000 / max(num_train, 1)) ** 0.41))),
    }


def table_defaults(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a table of `num_train` rows: the same for classes and numbers, few columns or many."""
    batch_size = min(1_024, max(32, 2 ** round(math.log2(max(num_train, 1)) / 2)))  # about sqrt(num_train)
    least_epochs = 20 if num_train <= 20_000 else 10 if num_train <= 200_000 else 3
    return {
        "model.name": "dense",
        "model.hidden": (64, 64),
        "model.activation": "relu",
        "model.normalisation": "none",
        "init.name": "he",
        "regularise.weight_decay": 0.5,
        "regularise.dropout": (0.2,),
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 2e-3,
        "optimiser.batch_size": batch_size,
        "schedule.name": "cosine",
        "stop.epochs": min(400, max(least_epochs, math.ceil(TABLE_STEPS * batch_size / max(num_train, 1)))),
    }
