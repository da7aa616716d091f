"""Settings that several families declare: widths, activations, normalisation, each with its knob."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from gnomon.core.knobs import Here, Knob, Search, Step
from gnomon.core.settings import setting

Normalised = Literal["batch", "layer", "none"]
WIDEST = 4096  # units or channels of a layer
MOST_UNITS, MOST_CHANNELS, MOST_LAYERS = 512, 64, 4  # upper ends of a search, unless the model has more
MOST_TIMES = 8.0  # the published widths
LARGER = "a larger network fits its training examples better"


def doubled(value: Any, _here: Here) -> Any:
    """Every layer twice as wide."""
    return [2 * width for width in value] if value and 2 * max(value) <= WIDEST else None


def one_layer_more(value: Any, here: Here) -> Any:
    """One more layer like the last; a dropout given layer by layer gets one more value."""
    if not value:
        return None
    dropout = list(here.settings.get("regularise.dropout") or ())
    more = {"regularise.dropout": [*dropout, dropout[-1]]} if len(dropout) > 1 else {}
    return {"model.hidden": [*value, value[-1]], **more}


def hidden(description: str, *, is_body: bool) -> Any:
    """Units of dense layers. `is_body`: they are the network itself, and the knob that makes it larger."""
    knob = Knob(("fit-train",))
    if is_body:
        knob = Knob(
            ("fit-train",),
            steps=(
                Step("wider", "fit-train", doubled, LARGER, 0.12, cost=3.0),
                Step("deeper", "fit-train", one_layer_more, LARGER, 0.03, cost=1.7),
            ),
            search=(
                Search("whole, log", 2, _around_first(8, MOST_UNITS), part="units"),
                Search("whole", 3, lambda v, _: (1, max(MOST_LAYERS, len(v))) if v else None, part="layers"),
            ),
        )
    return setting(None, description, knob)


def channels(description: str) -> Any:
    """Channels of each stage."""
    steps = (
        Step("wider", "fit-train", doubled, LARGER, 0.12, cost=3.5),
        Step(
            "deeper",
            "fit-train",
            lambda value, _: [*value, min(2 * value[-1], WIDEST)] if value else None,
            LARGER,
            0.03,
            cost=1.5,
        ),
    )
    search = (Search("whole, log", 2, _around_first(4, MOST_CHANNELS), part="channels"),)
    return setting(None, description, Knob(("fit-train",), steps=steps, search=search))


def width(default: float = 1.0) -> Any:
    """Times the published widths of a net whose name says how wide it is."""
    step = Step(
        "wider", "fit-train", lambda value, _: 2 * value if value and 2 * value <= MOST_TIMES else None,
        LARGER, 0.12, cost=3.5,
    )  # fmt: skip
    search = Search("log", 2, lambda value, _: (value / 4, min(2 * value, MOST_TIMES)) if value else None)
    text = "times the published number of channels of every layer"
    return setting(default, text, Knob(("fit-train",), steps=(step,), search=(search,)), gt=0, le=MOST_TIMES)


def activation() -> Any:
    """The activation of hidden layers."""
    step = Step(
        "relu",
        "fit-train",
        lambda value, _: "relu" if value and set(value) <= {"sigmoid", "tanh"} else None,
        "relu has a slope where sigmoid and tanh are flat",
        0.15,
    )
    text = "activation of hidden layers: one value, or one per hidden layer, e.g. tanh,relu"
    return setting(None, text, Knob(("fit-train",), needs="hidden layers", steps=(step,)))


def normalisation() -> Any:
    """Normalisation before the activation."""
    step = Step(
        "batch norm",
        "fit-train",
        lambda value, _: "batch" if value == "none" else None,
        "normalised layers train faster",
        0.04,
    )
    text = "normalisation before the activation, over the batch or over the units of the layer"
    return setting(None, text, Knob(("fit-train",), needs="hidden layers", steps=(step,)))


def _around_first(times: int, most: int) -> Callable[[Sequence[int], Here], tuple[float, float] | None]:
    def ends(value: Sequence[int], _here: Here) -> tuple[float, float] | None:
        return (max(4, value[0] // 4), min(times * value[0], max(most, value[0]))) if value else None

    return ends
