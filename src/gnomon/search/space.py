"""What a search varies: a setting, its range, the scale it is sampled on, and how early in the search it matters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Scale = Literal["linear", "log", "1 - beta, log", "whole", "whole, log", "powers of two", "choice"]
Point = Mapping[str, Any]
"""One setting of everything that varies: {dimension's name: value}, plain JSON values."""

DIGITS = 3  # significant digits of a value drawn from a continuous range, so that the value shown is the value used
UNITS, LAYERS, CHANNELS = "units", "layers", "channels"  # dimensions that together make up a list of widths


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of the search.

    `low` and `high` are the ends of the range, both included; `choices` (scale "choice") replace a range.
    `default` is the value of the first trial. `tier` 1 is searched first, 3 last.
    """

    name: str  # "learning_rate": what people see and type
    key: str  # "optimiser.learning_rate": the setting it changes
    scale: Scale
    tier: int
    default: Any
    low: float = 0.0
    high: float = 1.0
    choices: tuple[Any, ...] = ()

    @property
    def is_choice(self) -> bool:
        return self.scale == "choice"

    @property
    def is_whole(self) -> bool:
        return self.scale in ("whole", "whole, log", "powers of two")

    def at(self, place: float) -> Any:
        """The value at `place` in [0, 1], the share of the range below it on the dimension's scale."""
        if self.is_choice:
            return self.choices[min(int(place * len(self.choices)), len(self.choices) - 1)]
        start, end = self._ends()
        inner = self._back(start + min(max(place, 0.0), 1.0) * (end - start))
        if self.is_whole:
            return int(min(max(round(inner), math.ceil(self.low)), math.floor(self.high)))
        value = 1 - _rounded(1 - inner) if self.scale == "1 - beta, log" else _rounded(inner)
        return min(max(round(value, 12), self.low), self.high)

    def place(self, value: Any) -> float:
        """The position of `value` in [0, 1]; a value outside the range is placed at its end."""
        if self.is_choice:
            return (self.choices.index(value) + 0.5) / len(self.choices) if value in self.choices else 0.5
        start, end = self._ends()
        return min(max((self._forth(float(value)) - start) / (end - start), 0.0), 1.0) if end > start else 0.5

    def _ends(self) -> tuple[float, float]:
        """The ends on the sampling scale. Each whole number gets the room from half below to half above it."""
        if self.scale == "powers of two":
            return self._forth(self.low) - 0.5, self._forth(self.high) + 0.5
        half = 0.5 if self.is_whole else 0.0
        return self._forth(self.low - half), self._forth(self.high + half)

    def _forth(self, value: float) -> float:
        if self.scale in ("log", "whole, log"):
            return math.log(value)
        if self.scale == "1 - beta, log":
            return -math.log1p(-value)
        return math.log2(value) if self.scale == "powers of two" else value

    def _back(self, inner: float) -> float:
        if self.scale in ("log", "whole, log"):
            return math.exp(inner)
        if self.scale == "1 - beta, log":
            return -math.expm1(-inner)
        return 2.0 ** round(inner) if self.scale == "powers of two" else inner


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True, slots=True)
class Space:
    """All dimensions, first tier first. `widths`: lists of widths before the search, by setting."""

    dimensions: tuple[Dimension, ...]
    widths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dimensions)

    def __len__(self) -> int:
        return len(self.dimensions)

    def __getitem__(self, name: str) -> Dimension:
        return next(one for one in self.dimensions if one.name == name)

    @property
    def tiers(self) -> tuple[int, ...]:
        """Tiers that are not empty, in order."""
        return tuple(sorted({one.tier for one in self.dimensions}))

    @property
    def defaults(self) -> dict[str, Any]:
        return {one.name: one.default for one in self.dimensions}

    def changes(self, point: Point) -> dict[str, Any]:
        """The settings (full keys) of a point. Units and layers become one list of widths, channels one that doubles.

        Values equal to the summary of the widths before the search leave those unchanged, even if they are not equal.
        """
        changed: dict[str, Any] = {}
        for one in self.dimensions:
            before = self.widths.get(one.key, ())
            if one.name == CHANNELS:
                stages = range(max(1, len(before)))
                same = point[CHANNELS] == before[0] if before else False
                changed[one.key] = list(before) if same else [point[CHANNELS] * 2**stage for stage in stages]
            elif one.name in (UNITS, LAYERS):
                units, layers = point.get(UNITS, before[0] if before else 0), point.get(LAYERS, len(before) or 1)
                same = bool(before) and units == before[0] and layers == len(before)
                changed[one.key] = list(before) if same else [units] * layers
            elif one.key == "regularise.dropout" and not one.is_choice:
                changed[one.key] = [point[one.name]]
            else:
                changed[one.key] = point[one.name]
        return changed


# --- as plain JSON values ---------------------------------------------------------------------------------------------
def to_json(space: Space) -> dict[str, Any]:
    dimensions = [{**asdict(one), "choices": list(one.choices)} for one in space]
    return {"dimensions": dimensions, "widths": {key: list(widths) for key, widths in space.widths.items()}}


def from_json(plain: Mapping[str, Any]) -> Space:
    """Raises KeyError, TypeError or ValueError for anything that `to_json` did not write."""
    dimensions = tuple(Dimension(**{**one, "choices": tuple(one["choices"])}) for one in plain["dimensions"])
    return Space(dimensions, {key: tuple(widths) for key, widths in plain["widths"].items()})
