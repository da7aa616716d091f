"""What a search varies: a setting, its range, the scale it is sampled on, and how early in the search it matters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from gnomon.core.errors import ArtefactError
from gnomon.core.knobs import Scale
from gnomon.core.plain import Between, Finite, read_as

Point = Mapping[str, Any]
"""One setting of everything that varies: {dimension's name: value}, plain JSON values."""

FIX = "restore the file from a copy, or start a new search."
SMALLEST = 1e-12  # of a range on a scale of logarithms
DIGITS = 3  # significant digits of a value drawn from a continuous range: what is shown is what was used
UNITS, LAYERS, CHANNELS = "units", "layers", "channels"  # dimensions that make up a list of widths together


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of the search.

    `low` and `high` are the ends of the range, both included; `choices` (scale "choice") replace a range.
    `default` is the value of the first trial. `tier` 1 is searched first, 3 last.
    """

    name: str  # "learning_rate": what people see and type
    key: str  # "optimiser.learning_rate": the setting it changes
    scale: Scale
    tier: Annotated[int, Between(1, 3)]
    default: Any
    low: Finite = 0.0
    high: Finite = 1.0
    choices: tuple[Any, ...] = ()

    @property
    def is_choice(self) -> bool:
        return self.scale == "choice"

    @property
    def is_whole(self) -> bool:
        return self.scale in ("whole", "whole, log", "powers of two")

    def holds(self, value: Any) -> bool:
        """Whether it is a choice, or a number as the scale has them, be it outside of the range."""
        if self.is_choice:
            return value in self.choices
        return type(value) is int or (type(value) is float and math.isfinite(value) and not self.is_whole)

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
    widths: Mapping[str, tuple[Annotated[int, Between(0, 2**20)], ...]] = field(default_factory=dict)

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


def from_json(plain: Any, where: str = "search.json") -> Space:
    """What `to_json` was given. Raises ArtefactError for anything else, naming the place in the file `where`."""
    space = read_as(Space, plain, where=where, root="space", fix=FIX)
    for place, one in enumerate(space):
        fault = _fault(one)
        if fault:
            raise ArtefactError(f"space.dimensions[{place}]: {fault}.", where=where, fix=FIX)
    if not space.dimensions or len(set(space.defaults)) < len(space):
        raise ArtefactError("space.dimensions: expected at least one, each with its own name.", where=where, fix=FIX)
    return space


def _fault(one: Dimension) -> str:
    """Why nothing can be drawn from a dimension; "" where it can."""
    if one.is_choice:
        return "" if one.default in one.choices else "its default is not one of its choices"
    if not one.low <= one.high:
        return "its range is empty"
    is_open_below = one.scale in ("log", "whole, log", "powers of two")
    if (is_open_below and one.low < SMALLEST) or (one.scale == "1 - beta, log" and one.high >= 1):
        return f"its range does not suit its scale ({one.scale})"
    if one.name in (UNITS, LAYERS, CHANNELS) and not one.is_whole:
        return "it is a count, but its scale is not for whole numbers"
    return "" if one.holds(one.default) else "its default is not a number"


def misfit(space: Space, point: Point) -> str:
    """Why a point is none of this space; "" where it is one."""
    odd = sorted(map(str, point.keys() ^ {one.name for one in space}))
    if odd:
        return f"{odd[0]} is not what this search varies" if odd[0] in point else f"{odd[0]} is missing"
    return next((f"{one.name} cannot be {point[one.name]!r}" for one in space if not one.holds(point[one.name])), "")
