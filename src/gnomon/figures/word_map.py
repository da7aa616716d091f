"""Words where their vectors are, on a map of two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnomon.figures.style import INK, new_figure, styled
from gnomon.figures.text import label

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

HEIGHT = 7.0  # inches: room for 200 words
LONGEST = 24  # letters of a word that are shown


@styled
def draw_word_map(words: Sequence[str], points: np.ndarray) -> Figure:
    """`points` (N, 2): their distances mean something, their axes do not."""
    figure = new_figure(HEIGHT)
    axes = figure.add_subplot()
    axes.scatter(points[:, 0], points[:, 1], s=4, color=INK, alpha=0.35, linewidths=0)
    size = 8 if len(words) <= 120 else 6.5
    for word, (x, y) in zip(words, points, strict=True):
        axes.annotate(label(word, LONGEST), (x, y), fontsize=size, ha="center", va="bottom", xytext=(0, 1.5),
                      textcoords="offset points")  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.06)
    return figure
