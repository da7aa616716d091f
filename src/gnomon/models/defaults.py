"""The first model and how it is trained, by the size and kind of the data: measured, see docs/log.md."""

from __future__ import annotations

from typing import Any, Literal


def image_defaults(num_train: int, height: int, width: int, channels: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` pictures of `channels` x `height` x `width`."""
    stages = (32, 64) if min(height, width) <= 32 else (16, 32, 64)
    return {
        "model.name": "convnet",
        "model.channels": stages,
        "model.hidden": (128,),
        "model.activation": "relu",
        "model.normalisation": "none",
        "init.name": "he",
        "regularise.weight_decay": 0.05,
        "regularise.dropout": (0.3,),
        "regularise.augment": "shift" if channels == 1 else "shift+mirror",
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 2e-3,
        "optimiser.batch_size": 64,
        "schedule.name": "cosine",
        "stop.epochs": 15 if num_train >= 20_000 else 40,
    }


def table_defaults(num_train: int, num_features: int, kind: Literal["classification", "regression"]) -> dict[str, Any]:
    """Settings (full keys) for a table of `num_train` rows and `num_features` columns."""
    return {
        "model.name": "dense",
        "model.hidden": (64, 64),
        "model.activation": "relu",
        "model.normalisation": "none",
        "init.name": "he",
        "regularise.weight_decay": 0.05,
        "regularise.dropout": (0.1,),
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 2e-3,
        "optimiser.batch_size": 64,
        "schedule.name": "cosine",
        "stop.epochs": 40,
    }
