"""A source along the top, its answer down the side: how much each piece of this looked at each of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from gnomon.figures.style import FAINT, INK, MUTED, WIDTH, new_figure, styled
from gnomon.figures.text import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.strategy.alignment import Alignment

MOST = 80  # pieces a side, of which the first are drawn: more cannot be read
CELL = 0.29  # inches of a piece, where there is room
LONGEST = 18  # characters of a piece
_SHADES = LinearSegmentedColormap.from_list("looked", ("#ffffff", "#cfe0ee", "#5c9fce", "#0072b2", "#003a5c"))


@styled
def draw_alignment(found: Alignment) -> Figure:
    """One row per piece of the answer, white to dark blue: from no part of its look to all of it."""
    weights = np.asarray(found.weights)[:MOST, :MOST]
    rows, columns = weights.shape
    above, beside = ([_shown(one) for one in some[:MOST]] for some in (found.source_pieces, found.answer_pieces))
    is_flat = max(map(len, above[:-1]), default=0) <= 2  # characters stand upright; the end has a name
    width = max(3.4, 0.9 + 0.075 * max(map(len, beside)) + CELL * columns)
    cell = CELL * min(1.0, WIDTH / width)
    height = 1.15 + 0.075 * max(map(len, above)) + cell * rows
    figure = new_figure(height, width=min(width, max(WIDTH, 0.16 * columns + 1.6)))
    axes = figure.subplots()
    axes.imshow(weights, cmap=_SHADES, vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    size = 9 if max(rows, columns) <= 30 else 7 if max(rows, columns) <= 50 else 5.5
    axes.set_xticks(range(columns), above, rotation=0 if is_flat else 90, fontsize=size)
    axes.set_yticks(range(rows), beside, fontsize=size)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False, labelcolor=INK)
    axes.get_xticklabels()[-1].set_rotation(90)
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color=FAINT, linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.suptitle("what each piece of the answer looked at", x=0.02, ha="left", fontsize=10, fontweight="bold")
    cut = max(len(found.source_pieces), len(found.answer_pieces)) > MOST
    caption = "top: the source · side: the answer · each row sums to 1, from white (0) to dark (1)"
    caption += f" · the first {MOST} pieces" if cut else ""
    figure.supxlabel(caption, x=0.02, ha="left", fontsize=7, color=MUTED)
    return figure


def _shown(piece: str) -> str:
    return "␣" if piece == " " else label(piece, LONGEST)
