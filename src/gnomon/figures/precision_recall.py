"""Precision against recall, one curve for each class, with the point at the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnomon.figures.style import INK, MUTED, new_figure, styled
from gnomon.figures.text import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.metrics.box_scores import Curve

MOST_CURVES = 6  # as many as there are colours that can be told apart
CUT = 24  # characters of a class name


@styled
def draw_precision_recall(curves: Sequence[Curve]) -> Figure:
    """Of more classes than MOST_CURVES, those of the lowest average precision."""
    shown = sorted(curves, key=lambda one: one.average_precision)[:MOST_CURVES]
    figure = new_figure(3.6)
    axes = figure.subplots()
    for curve in shown:
        name = f"{label(curve.class_name, CUT)}  AP {curve.average_precision:.3f}"
        (line,) = axes.plot(curve.recall, curve.precision, label=name, drawstyle="steps-post")
        if curve.at_threshold is not None:
            axes.plot(*curve.at_threshold, "o", color=line.get_color(), markeredgecolor=INK, markersize=5)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("recall: share of objects that are found")
    axes.set_ylabel("precision: share of boxes that are right")
    if len(shown) < len(curves):
        axes.set_title(f"the {len(shown)} classes of lowest average precision, of {len(curves)}", color=MUTED)
    axes.legend(loc="lower left")
    return figure
