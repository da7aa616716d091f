"""Curves as SVG inside the page: they use the page's colours, need no script, and work with screen readers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 260  # units of the drawing; it is scaled to the page
LEFT, RIGHT, TOP, BOTTOM = 56, 92, 12, 30  # room for the numbers and the names
TICKS = 5
NAME_HEIGHT = 14  # from one name at the end of a curve to the next
MOST_DOTS = 150  # with at most this many points, each has a dot that shows its value

_DOT = Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="2.4"><title>{}, {:g}: {}</title></circle>')
_GRID = Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
_TICK = Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')


@dataclass(frozen=True)
class Curve:
    """One line: its name, its look (a class of the style sheet), and its points; gaps where y is None."""

    name: str
    look: str
    x: Sequence[float]
    y: Sequence[float | None]


def of_history(history: Sequence[Mapping[str, Any]], keys: Mapping[str, str]) -> list[Curve]:
    """Curves from a run's history: {"dev_error": "dev"}; missing keys are left out."""
    epochs = [float(row["epoch"]) for row in history]
    found = []
    for key, name in keys.items():
        values = [finite(row.get(key)) for row in history]
        if any(value is not None for value in values):
            found.append(Curve(name, name, epochs, values))
    return found


def smoothed(curve: Curve, beta: float) -> Curve:
    """The exponentially weighted average with bias correction; beta 0 changes nothing. Source: Kingma and Ba 2015."""
    average, weight = 0.0, 0.0
    values: list[float | None] = []
    for value in curve.y:
        if value is None:
            values.append(None)
            continue
        average = beta * average + (1 - beta) * value
        weight = beta * weight + (1 - beta)
        values.append(average / weight)
    return Curve(curve.name, curve.look, curve.x, values)


def draw(
    curves: Sequence[Curve], *, title: str, write: Callable[[float], str], log: bool = False, beta: float = 0.0
) -> Markup:
    """An <svg>; with smoothing the raw curves stay visible, faintly. Empty if there is nothing to draw."""
    drawn = [smoothed(curve, beta) if beta else curve for curve in curves]  # before a logarithm drops zeros
    shown, drawn = ([_positive(curve) if log else curve for curve in each] for each in (curves, drawn))
    points = [(x, y) for curve in shown for x, y in zip(curve.x, curve.y, strict=True) if y is not None]
    if not points:
        return Markup("")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x_of = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    low, high = (min(ys), max(ys)) if log else (min(0.0, *ys), max(ys))
    forward = math.log10 if log else float
    y_of = _scale(forward(low), forward(high), HEIGHT - BOTTOM, TOP)
    parts = [Markup('<svg class="curves" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, title)]
    parts += _frame(x_of, lambda y: y_of(forward(y)), (min(xs), max(xs)), (low, high), write, log=log)
    if beta:
        parts += [_line(curve, x_of, lambda y: y_of(forward(y)), "raw") for curve in shown]
    parts += [_line(curve, x_of, lambda y: y_of(forward(y)), "") for curve in drawn]
    parts += _names(drawn, lambda y: y_of(forward(y)))
    if len(points) <= MOST_DOTS:
        parts += [
            _DOT.format(curve.look, x_of(x), y_of(forward(y)), curve.name, x, write(y))
            for curve in shown
            for x, y in zip(curve.x, curve.y, strict=True)
            if y is not None
        ]
    return Markup("").join([*parts, Markup("</svg>")])


def finite(value: Any) -> float | None:
    """The number, or None if it is not finite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _positive(curve: Curve) -> Curve:
    return Curve(curve.name, curve.look, curve.x, [y if y is not None and y > 0 else None for y in curve.y])


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    if high == low:
        return lambda _: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _line(curve: Curve, x_of: Callable[[float], float], y_of: Callable[[float], float], kind: str) -> Markup:
    path, is_gap = [], True
    for x, y in zip(curve.x, curve.y, strict=True):
        if y is not None:
            path.append(f"{'M' if is_gap else 'L'}{x_of(x):.1f} {y_of(y):.1f}")
        is_gap = y is None
    return Markup('<path class="line {} {}" d="{}"/>').format(curve.look, kind, " ".join(path))


def _frame(
    x_of: Callable[[float], float], y_of: Callable[[float], float], x_ends: tuple[float, float],
    y_ends: tuple[float, float], write: Callable[[float], str], *, log: bool,
) -> list[Markup]:  # fmt: skip
    parts = []
    for value in _log_ticks(*y_ends) if log else _ticks(*y_ends):
        at = y_of(value)
        parts += [_GRID.format(LEFT, WIDTH - RIGHT, at, at), _TICK.format(LEFT - 6, at + 4, "end", write(value))]
    low = HEIGHT - BOTTOM + 16
    parts += [_TICK.format(x_of(x), low, "middle", f"{x:g}") for x in _ticks(*x_ends) if x == int(x)]
    return [*parts, _TICK.format(WIDTH - RIGHT + 20, low, "start", "epoch")]


def _ticks(low: float, high: float) -> list[float]:
    if high <= low:
        return [low]
    rough = (high - low) / TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round((first + place) * step, 12) for place in range(int((high - first * step) / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    marks = [times * 10.0**power for power in range(first, last + 1) for times in (1, 2, 5)]
    kept = [mark for mark in marks if low <= mark <= high] or [low, high]
    return kept if len(kept) <= 8 else kept[:: math.ceil(len(kept) / 8)]


def _names(curves: Sequence[Curve], y_of: Callable[[float], float]) -> list[Markup]:
    """The names at the ends of the curves, without overlaps."""
    if len({curve.name for curve in curves}) < len(curves):
        return []
    last = [(next((y for y in reversed(curve.y) if y is not None), None), curve) for curve in curves]
    ends = sorted(((y_of(y), curve) for y, curve in last if y is not None), key=lambda end: end[0])
    lowest = float(HEIGHT - BOTTOM)  # above the word "epoch"
    places: list[float] = []
    for at, _ in ends:
        places.append(max(at + 4, places[-1] + NAME_HEIGHT if places else TOP))
    for i in reversed(range(len(places))):  # names pushed below the frame move those above them up
        places[i] = min(places[i], lowest)
        lowest = places[i] - NAME_HEIGHT
    return [
        Markup('<text class="name {}" x="{}" y="{:.1f}">{}</text>').format(
            curve.look, WIDTH - RIGHT + 6, place, escape(curve.name)
        )
        for place, (_, curve) in zip(places, ends, strict=True)
    ]
