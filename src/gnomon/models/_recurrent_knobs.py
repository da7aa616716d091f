"""The knobs that recurrent nets have in common."""

from __future__ import annotations

from gnomon.core.knobs import Knob, Search, Step

MOST_UNITS = 4096
MOST_LAYERS = 8
LARGER = "a larger state remembers more"

UNITS = Knob(
    ("fit-train",),
    steps=(Step("wider", "fit-train", lambda v, _: 2 * v if 2 * v <= MOST_UNITS else None, LARGER, 0.08, cost=3.5),),
    search=(Search("whole, log", 2, lambda v, _: (max(8, v // 4), min(4 * v, MOST_UNITS))),),
)
LAYERS = Knob(
    ("fit-train",),
    steps=(Step("deeper", "fit-train", lambda v, _: v + 1 if v < MOST_LAYERS else None, LARGER, 0.02, cost=1.5),),
    search=(Search("whole", 3, lambda _v, _: (1, 4)),),
)
