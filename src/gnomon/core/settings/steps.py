"""How the settings' knobs are turned further, one function per step: (value, state around it) -> next value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gnomon.core import found
from gnomon.core.augmentation import NONE, added, parsed
from gnomon.core.knobs import HIDDEN_LAYERS, Here

LONGEST = 2000  # epochs
FAR_SCALE = 3.0  # times the usual starting weights, or as many times smaller: units saturate, or signals vanish
HIGH_DECAY, HIGH_DROPOUT = 0.2, 0.2  # from here on, it is what keeps a network from fitting train
IN_TURN = ("shift", "mirror", "cutout")  # kinds of augmentation
LEARNS_LESS = "what keeps it from memorising also keeps it from learning"


def rounded(value: float) -> float:
    """To four digits, so that a step up and one down again end where they began."""
    return float(f"{value:.4g}")


def highest(values: Any) -> float:
    """The largest of one number or several, 0 for none."""
    return max(values, default=0.0) if isinstance(values, list | tuple) else float(values or 0.0)


def more_decay(value: Any, _here: Here) -> Any:
    return None if value and value >= 5 else 0.01 if not value else rounded(4 * value)


def less_decay(value: Any, _here: Here) -> Any:
    return rounded(value / 10) if value and value >= 1e-4 else None


def more_dropout(value: Any, _here: Here) -> Any:
    rate = highest(value)
    return None if rate >= 0.6 else [0.2 if rate < 0.1 else 0.4 if rate < 0.35 else 0.6]


def less_dropout(value: Any, _here: Here) -> Any:
    rate = highest(value)
    return None if not rate else [] if rate <= 0.1 else [round(rate / 2, 3)]


def gain_of_less_decay(value: Any, here: Here) -> float:
    """High weight decay is lowered before a network is made wider, which it would only hold back further.

    A linear model lacks hidden layers first.
    """
    return 0.2 if value and value >= HIGH_DECAY and HIDDEN_LAYERS in here.abilities else 0.02


def gain_of_less_dropout(value: Any, _here: Here) -> float:
    """As `gain_of_less_decay`."""
    return 0.15 if highest(value) >= HIGH_DROPOUT else 0.03


def more_augmentation(value: Any, _here: Here) -> Any:
    """The next kind that the list lacks."""
    named = parsed(value or NONE)
    lacking = [name for name in IN_TURN if name not in named]
    return added(value, lacking[0]) if lacking else None


def adaptive(value: Any, _here: Here) -> Any:
    return {"optimiser.name": "adam", "optimiser.learning_rate": 1e-3} if value == "sgd" else None


def scaled_rate(factor: float) -> Callable[[Any, Here], Any]:
    def scaled(value: Any, here: Here) -> Any:
        return rounded(factor * value) if value and here.settings.get("optimiser.name") != "sgd" else None

    return scaled


def usual_start(value: Any, here: Here) -> Any:
    return "he" if value in ("zeros", "small") and HIDDEN_LAYERS in here.abilities else None


def usual_scale(value: Any, _here: Here) -> Any:
    return 1.0 if value and not 1 / FAR_SCALE < value < FAR_SCALE else None


def rates(_value: Any, here: Here) -> tuple[float, float]:
    return (1e-3, 1.0) if here.settings.get("optimiser.name") in ("sgd", "momentum", "nesterov") else (1e-4, 0.1)


def batches(value: Any, here: Here) -> tuple[float, float] | None:
    if not value or here.num_train < 32:
        return None
    return max(8, value // 4), max(16, min(4 * value, 2 ** ((here.num_train // 2).bit_length() - 1)))


def squares(_value: Any, here: Here) -> tuple[float, float] | None:
    return (0.9, 0.999) if here.settings.get("optimiser.name") == "rmsprop" else None


def beyond_linear(value: Any, here: Here) -> Any:
    return _larger(value) if HIDDEN_LAYERS not in here.abilities else None


def next_in_family(value: Any, here: Here) -> Any:
    return _larger(value) if HIDDEN_LAYERS in here.abilities else None


def _larger(value: Any) -> Any:
    return found.family(value).larger.get(value) if value else None
