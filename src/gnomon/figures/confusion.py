"""Which classes are confused: the matrix for up to 50 classes, the most confused pairs for more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from gnomon.figures.style import INK, MUTED, ORANGE, bare, few_ticks, new_figure, styled
from gnomon.figures.text import count, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gnomon.metrics.classification import Confusion

MAX_MATRIX = 50  # classes; with more, names are too small to read
MAX_COUNTS = 20  # classes; with more, a cell has no room for its number
MAX_PAIRS = 20

_RIGHT = LinearSegmentedColormap.from_list("right", ("#f4f6f8", "#b9c6d3"))
_WRONG = LinearSegmentedColormap.from_list("wrong", ("#ffffff00", "#fde3cf", "#f5a56c", "#d55e00", "#8c3a00"))


def draw_confusion(confusion: Confusion) -> Figure:
    """The matrix, or the pairs if there are too many classes for a matrix."""
    return draw_matrix(confusion) if len(confusion.class_names) <= MAX_MATRIX else draw_pairs(confusion)


@styled
def draw_matrix(confusion: Confusion) -> Figure:
    """Rows are the true classes. The diagonal is grey; mistakes are orange, darker for a larger share of their row."""
    counts = np.asarray(confusion.counts)
    names = [label(name, 18) for name in confusion.class_names]
    num_classes = len(names)
    figure = new_figure(0.7 + min(6.2, 1.2 + 0.36 * num_classes))
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    on_diagonal = np.eye(num_classes, dtype=bool)
    edges = np.arange(num_classes + 1) - 0.5
    style: Any = {"edgecolors": "#e6eaee", "linewidth": 0.6 if num_classes <= 30 else 0.3}
    axes.pcolormesh(edges, edges, np.ma.masked_where(~on_diagonal, shares), cmap=_RIGHT, vmin=0, vmax=1, **style)
    worst = float(shares[~on_diagonal].max(initial=0.0)) or 1.0
    mistakes = np.ma.masked_where(on_diagonal, shares)
    axes.pcolormesh(edges, edges, mistakes, cmap=_WRONG, vmin=0, vmax=worst, **style)
    if num_classes <= MAX_COUNTS:
        _write_counts(axes, counts, shares / worst, on_diagonal)
    _name_classes(axes, names)
    return figure


def _write_counts(axes: Axes, counts: np.ndarray, darkness: np.ndarray, on_diagonal: np.ndarray) -> None:
    size = 9 if len(counts) <= 12 else 6.5
    for row, column in np.argwhere(counts > 0):
        is_dark = not on_diagonal[row, column] and darkness[row, column] > 0.6
        axes.text(column, row, count(counts[row, column]), ha="center", va="center", fontsize=size,
                  color="white" if is_dark else INK)  # fmt: skip


def _name_classes(axes: Axes, names: list[str]) -> None:
    num_classes = len(names)
    size = 8.5 if num_classes <= 20 else max(5.5, 8.5 * 20 / num_classes)
    is_short = max(map(len, names), default=0) * num_classes <= 70
    axes.set_xticks(range(num_classes), names, rotation=0 if is_short else 90, fontsize=size, color=INK)
    axes.set_yticks(range(num_classes), names, fontsize=size, color=INK)
    axes.set_ylim(num_classes - 0.5, -0.5)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.set_aspect("equal" if num_classes > 4 else "auto")
    axes.set_anchor("W")
    bare(axes)


@styled
def draw_pairs(confusion: Confusion) -> Figure:
    """The most frequent mistakes, one bar per pair: true class → predicted class."""
    wrong = np.array(confusion.counts)
    np.fill_diagonal(wrong, 0)
    flat = wrong.ravel()
    candidates = np.argpartition(flat, -min(MAX_PAIRS, flat.size))[-MAX_PAIRS:]
    order = candidates[np.lexsort((candidates, -flat[candidates]))]
    pairs = [(int(index) // len(wrong), int(index) % len(wrong)) for index in order if flat[index] > 0]
    figure = new_figure(0.8 + 0.22 * max(len(pairs), 2))
    axes = figure.add_subplot()
    sizes = [int(wrong[pair]) for pair in pairs]
    axes.barh(range(len(pairs)), sizes, color=ORANGE, height=0.66)
    names = [f"{label(confusion.class_names[row])} → {label(confusion.class_names[column])}" for row, column in pairs]
    axes.set_yticks(range(len(pairs)), names, color=INK)
    for height, size in enumerate(sizes):
        axes.annotate(count(size), (size, height), xytext=(4, 0), textcoords="offset points", va="center", color=MUTED)
    axes.set_ylim(max(len(pairs), 1) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * max(sizes, default=1))
    few_ticks(axes.xaxis, 6, whole=True)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("mistakes (truth → prediction)" if pairs else "no mistakes")
    return figure
