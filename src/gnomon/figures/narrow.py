"""A finished figure laid out again for a telephone: as wide as its screen, with letters as large as on the wide one."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from matplotlib.text import Annotation

from gnomon.figures.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NARROW = 3.7  # inches = 355 CSS pixels: a screen of 390 without its margins
PANEL = 2.2  # inches: height of one panel where panels that stood side by side stand below one another
LEAST = 2.2  # inches
ABOVE = 0.4  # inches: the words above a square one
TITLE = 40  # letters of a title on the whole width
LONG = 16  # letters of a text beside a mark, which may reach over the edge
LIFT = 8  # points
EDGE = 0.12  # inches: the reader's letters may be a little wider than ours


@styled
def narrow(figure: Figure) -> None:
    """Change the figure in place: panels of one row below one another, no text beyond the edge."""
    height = max(figure.get_size_inches()[1], LEAST)
    grids = {spec.get_gridspec() for axes in figure.axes if (spec := axes.get_subplotspec()) is not None}
    if len(grids) == 1 and (grid := grids.pop()).nrows == 1 and grid.ncols == len(figure.axes) > 1:
        rows = figure.add_gridspec(len(figure.axes), 1)
        for place, axes in enumerate(figure.axes):
            axes.set_subplotspec(rows[place])
        height = PANEL * len(figure.axes)
    if any(axes.get_aspect() != "auto" for axes in figure.axes):
        height = min(height, NARROW + ABOVE)
    figure.set_size_inches(NARROW, height)
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        columns = 1 if spec is None else spec.get_gridspec().ncols // (spec.colspan.stop - spec.colspan.start)
        title = axes.get_title(loc="left")
        axes.set_title(textwrap.fill(title, TITLE // columns), loc="left")
    long = [text for axes in figure.axes for text in axes.texts if len(text.get_text()) > LONG]
    notes = [text for text in long if isinstance(text, Annotation)]
    if notes:
        figure.draw_without_rendering()  # which finds out where everything comes to lie
        for note in notes:
            _keep_inside(note, figure)


def _keep_inside(note: Annotation, figure: Figure) -> None:
    """Move a note as far to the left as it reaches over the right edge, and above the mark it stands beside."""
    beyond = (note.get_window_extent().x1 - figure.bbox.x1) / figure.dpi + EDGE
    if beyond > 0:
        right, up = note.xyann
        note.xyann = (right - 72 * beyond, up + LIFT)
