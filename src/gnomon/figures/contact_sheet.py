"""Examples as people look at them, in rows, each with its caption."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnomon.core.parts import View
from gnomon.figures.marks import marked
from gnomon.figures.style import INK, MUTED, WIDTH, bare, new_figure, styled
from gnomon.figures.text import label, visible
from gnomon.metrics.spans import pieces_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SIDE = 320  # pixels: more cannot be seen in a sheet
MARKED_SIDE = 640  # of pictures with boxes and captions, which have thin lines
MAX_FIELDS = 8
LINE = 30  # characters of a caption where there are three columns
MAX_LINES = 9


@styled
def draw_contact_sheet(views: Sequence[tuple[str | None, View]], *, columns: int = 3) -> Figure:
    """One cell per (caption, view): its picture, text or fields; the caption below, if any, on at most two lines."""
    rows = max(1, math.ceil(len(views) / columns))
    side = WIDTH / columns
    figure = new_figure(rows * (side + 0.35) if columns > 3 else rows * (0.8 * side + 0.35))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        bare(axes)
        axes.set_xticks([])
        axes.set_yticks([])
    for axes, (caption, view) in zip(grid, views, strict=False):
        _draw_view(axes, view)
        if caption is None:
            continue
        lines = textwrap.wrap(label(caption, 2 * LINE), LINE if columns <= 3 else 3 * LINE // columns)[:2]
        axes.set_xlabel("\n".join(lines), color=INK, fontsize=8.5 if columns <= 3 else 7)
    return figure


def _draw_view(axes: Axes, view: View) -> None:
    if view.image is not None:
        has_marks = any(part is not None for part in (view.boxes, view.mask, view.points))
        picture = marked(view, MARKED_SIDE) if has_marks else view.image
        step = max(1, math.ceil(max(picture.shape[:2]) / (MARKED_SIDE if has_marks else MAX_SIDE)))
        picture = picture[::step, ::step]
        is_small = max(picture.shape[:2]) < 64
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if is_small else "antialiased")
        return
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.text(0.02, 0.98, "\n".join(_lines(view)), va="top", color=INK, fontsize=8)
    axes.axhline(0, color=MUTED, linewidth=0.4)


def _lines(view: View) -> list[str]:
    """The text, or one line per field, cut to fit the cell."""
    if view.spans:
        pieces = [piece if kind is None else f"[{piece}]({kind})" for piece, kind in pieces_of(view.text, view.spans)]
        view = View(text="".join(pieces))
    if view.text:
        lines = textwrap.wrap(visible(view.text[: 10 * LINE * MAX_LINES], keep="\n"), LINE)
    else:
        lines = [f"{label(key, 14)}: {label(value, 14)}" for key, value in list(view.fields.items())[:MAX_FIELDS]]
        if len(view.fields) > MAX_FIELDS:
            lines.append(f"and {len(view.fields) - MAX_FIELDS} more")
    return lines if len(lines) <= MAX_LINES else [*lines[: MAX_LINES - 1], "…"]
