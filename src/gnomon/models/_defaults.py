"""How a first model is trained, by the number of training examples: measured, see docs/log.md."""

from __future__ import annotations

import math
from typing import Any

TABLE_STEPS = 2_000  # optimizer steps that a small table is trained for


def picture_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` pictures."""
    return {
        "init.name": "he",
        "regularise.weight_decay": 0.05,
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 4e-3,
        "optimiser.batch_size": 64 if num_train >= 1_000 else 32,
        "schedule.name": "cosine",
        # 60 passes over a thousand pictures, 31 over five thousand, 12 from fifty thousand on
        "stop.epochs": round(min(60.0, max(12.0, 60 * (1_000 / max(num_train, 1)) ** 0.41))),
    }


def table_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a table of `num_train` rows: the same for classes and numbers, few columns or many."""
    batch_size = min(1_024, max(32, 2 ** round(math.log2(max(num_train, 1)) / 2)))  # about sqrt(num_train)
    least_epochs = 20 if num_train <= 20_000 else 10 if num_train <= 200_000 else 3
    return {
        "init.name": "he",
        "regularise.weight_decay": 0.5,
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 2e-3,
        "optimiser.batch_size": batch_size,
        "schedule.name": "cosine",
        "stop.epochs": min(400, max(least_epochs, math.ceil(TABLE_STEPS * batch_size / max(num_train, 1)))),
    }
