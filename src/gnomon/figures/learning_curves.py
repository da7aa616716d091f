"""Error, loss and learning rate per epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter

from gnomon.figures.style import FAINT, INK, MUTED, SPLIT_COLOURS, error_axis, few_ticks, new_figure, styled
from gnomon.figures.text import error_text, label, number
from gnomon.strategy.wording import split_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVES = (("train_error", "train"), ("train_dev_error", "train_dev"), ("dev_error", "dev"))
_FRAME = 5.0  # the frame ends at this many times the best dev error, or the ends of the curves would look flat


@styled
def draw_learning_curves(
    history: Sequence[Mapping[str, Any]], *, error_name: str, unit: str | None, human: float | None = None
) -> Figure:
    """Errors above, loss and learning rate below; the kept epoch is marked.

    `history` has one mapping per epoch with the keys epoch, train_error, train_dev_error, dev_error, dev_low, dev_high,
    train_loss, learning_rate, best; values may be missing or None. `human` draws a line at the human level.
    """
    figure = new_figure(5.4)
    grid = figure.add_gridspec(2, 2, height_ratios=(2.2, 1))
    _draw_errors(figure.add_subplot(grid[0, :]), history, error_name, unit, human)
    _draw_series(figure.add_subplot(grid[1, 0]), history, "train_loss", "training loss", SPLIT_COLOURS["train"])
    _draw_series(figure.add_subplot(grid[1, 1]), history, "learning_rate", "learning rate", MUTED)
    return figure


def _column(history: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [math.nan if row.get(key) is None else float(row[key]) for row in history]


def _draw_errors(
    axes: Axes, history: Sequence[Mapping[str, Any]], error_name: str, unit: str | None, human: float | None
) -> None:
    epochs = _column(history, "epoch")
    ends: list[tuple[float, str, str]] = []
    for key, split in _CURVES:
        errors = _column(history, key)
        if all(math.isnan(error) for error in errors):
            continue
        colour = SPLIT_COLOURS[split]
        marker = "o" if len(history) <= 30 else None
        axes.plot(epochs, errors, color=colour, marker=marker, markersize=3.2)
        last = next(error for error in reversed(errors) if not math.isnan(error))
        ends.append((last, split_name(split), colour))
    low, high = _column(history, "dev_low"), _column(history, "dev_high")
    axes.fill_between(epochs, low, high, color=SPLIT_COLOURS["dev"], alpha=0.14, linewidth=0)
    if human is not None:
        axes.axhline(human, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        ends.append((human, "human", MUTED))
    top = _frame_top(history)
    axes.set_ylim(0, top)
    axes.margins(x=0.02)
    _label_ends(axes, ends, top)
    _mark_best(axes, history, unit, top)
    above = sum(error > top for key, _ in _CURVES[2:] for error in _column(history, key))
    outside = f" ({above} early {'epoch' if above == 1 else 'epochs'} above the frame)" if above else ""
    axes.set_title(f"{label(error_name, 40)} by epoch{outside}")
    axes.set_xlabel("epoch")
    few_ticks(axes.xaxis, 12, whole=True)
    error_axis(axes, "y", unit)


def _frame_top(history: Sequence[Mapping[str, Any]]) -> float:
    errors = [value for key, _ in _CURVES for value in _column(history, key) if math.isfinite(value)]
    dev = [value for value in _column(history, "dev_error") if math.isfinite(value)]
    if not errors or max(errors) <= 0:
        return 1.0
    whole = 1.06 * max(errors)
    if not dev or min(dev) <= 0:
        return whole
    finals = [values[-1] for key, _ in _CURVES if math.isfinite((values := _column(history, key))[-1])]
    return min(whole, max(_FRAME * min(dev), 1.3 * max(finals, default=0.0)))


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]], top: float) -> None:
    """Names at the right ends of the curves, moved apart if they would overlap."""
    apart, height = 0.065 * top, -math.inf
    for value, name, colour in sorted(ends):
        height = max(min(value, top), height + apart)
        axes.annotate(name, (1, height), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                      color=colour, va="center", annotation_clip=False)  # fmt: skip


def _mark_best(axes: Axes, history: Sequence[Mapping[str, Any]], unit: str | None, top: float) -> None:
    best = next((row for row in reversed(history) if row.get("best") and row.get("dev_error") is not None), None)
    if best is None or not math.isfinite(best["dev_error"]):
        return
    error = min(best["dev_error"], top)
    axes.axvline(best["epoch"], color=FAINT, linewidth=1.2, zorder=0)
    axes.plot(best["epoch"], error, marker="o", markersize=8, color="none", markeredgecolor=INK, markeredgewidth=1.2)
    in_right_half = best["epoch"] > (history[0]["epoch"] + history[-1]["epoch"]) / 2
    axes.annotate(
        f"kept: epoch {best['epoch']}, dev {error_text(best['dev_error'], unit)}",
        (best["epoch"], top), xytext=(-6 if in_right_half else 6, -4), textcoords="offset points",
        ha="right" if in_right_half else "left", va="top", color=INK, fontsize=8.5,
    )  # fmt: skip


def _draw_series(axes: Axes, history: Sequence[Mapping[str, Any]], key: str, title: str, colour: str) -> None:
    values = _column(history, key)
    marker = "o" if len(history) == 1 else None
    axes.plot(_column(history, "epoch"), values, color=colour, linewidth=1.4, marker=marker, markersize=3.2)
    axes.set_title(title, fontsize=9)
    if min((value for value in values if math.isfinite(value)), default=0.0) >= 0:
        axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    axes.set_xlabel("epoch")
    few_ticks(axes.xaxis, 12, whole=True)
    few_ticks(axes.yaxis, 4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
