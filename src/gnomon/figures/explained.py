"""A picture beside the maps of what speaks for its classes; the patches that excite units most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from gnomon.figures.style import BLUE, INK, MUTED, ORANGE, PURPLE, WIDTH, bare, new_figure, styled
from gnomon.figures.text import label
from gnomon.strategy.evidence import ACTIVATION, OCCLUSION, SALIENCY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gnomon.strategy.evidence import ClassEvidence, Explained, StageUnits, Unit, Whereabouts

TITLES = {SALIENCY: "saliency", OCCLUSION: "occlusion", ACTIVATION: "class activation"}
LEGEND = (
    "saliency: pixels that act on the score, one way or the other · "
    "occlusion: hiding an orange part lowers the odds, a blue one raises them\n"
    "class activation: places of the last feature map that speak for the class"
)
PALE = 0.45  # how much of a picture's contrast is left under a map
BRIGHTEST = 99.5  # percentile of a map that gets the full colour: a single pixel would dim all others
SHARP = 64  # pixels per side up to which pictures are enlarged with sharp pixels
CELL, GAP = 40, 3  # pixels: the least side of a patch in a sheet, and what is between two
PAPER, OUTSIDE = 255, 222  # gray levels: between patches, and of what a place could see beyond the picture's edge
MAJORITY = 5  # of a unit's nine patches: of one class


@styled
def draw_explained(found: Explained) -> Figure:
    """A row per class: the picture, then each map on it."""
    methods = list(found.classes[0].maps)
    columns, rows = 1 + len(methods), len(found.classes)
    height, width = found.picture.shape[:2]
    side = WIDTH / 4.2  # as wide with three panels as with four
    figure = new_figure(rows * (side * min(height / width, 1.6) + 0.58) + 0.7, width=max(columns * side, 5.2) + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.suptitle(
        f"{label(found.id, 48)}: {label(found.prediction)} {_percent(found.probability)}",
        x=0.02, ha="left", fontsize=10, fontweight="bold",
    )  # fmt: skip
    for axes, one in zip(grid, found.classes, strict=True):
        _draw_class(axes, found, one)
    legend = LEGEND if ACTIVATION in methods else LEGEND.partition("\n")[0]
    figure.supxlabel(legend, x=0.02, ha="left", fontsize=7, color=MUTED)
    return figure


def _draw_class(axes: Sequence[Axes], found: Explained, one: ClassEvidence) -> None:
    for each in axes:
        bare(each)
        each.set_xticks([])
        each.set_yticks([])
    smooth = "nearest" if max(found.picture.shape[:2]) < SHARP else "antialiased"
    options: Any = {"interpolation": smooth, "cmap": "gray", "vmin": 0, "vmax": 255}
    axes[0].imshow(found.picture, **options)
    axes[0].set_xlabel(f"for {label(one.class_name)}\nprobability {_percent(one.probability)}", color=INK, fontsize=8)
    for panel, (name, evidence) in zip(axes[1:], one.maps.items(), strict=True):
        colour = PURPLE if name == SALIENCY else ORANGE
        panel.imshow(overlaid(found.picture, evidence, colour), **options)
        panel.set_title(TITLES[name], fontsize=8.5, fontweight="normal")
        panel.set_xlabel(_caption(name, one), color=INK, fontsize=8)
        if name == OCCLUSION and one.hidden is not None:
            hidden = one.hidden
            corner = hidden.left - 0.5, hidden.top - 0.5
            box = Rectangle(corner, hidden.right - hidden.left, hidden.bottom - hidden.top, fill=False, lw=1.2, ec=INK)
            panel.add_patch(box)


def _caption(name: str, one: ClassEvidence) -> str:
    where: Whereabouts | None = one.whereabouts[name]
    if where is None:
        return "nothing speaks for it"
    if name == OCCLUSION:
        return "no part lowers it" if one.hidden is None else f"without the frame: {_percent(one.hidden.probability)}"
    return f"middle {100 * where.in_middle:.0f} %, border {100 * where.at_border:.0f} %"


def overlaid(picture: np.ndarray, evidence: np.ndarray, colour: str = ORANGE) -> np.ndarray:
    """(H, W, 3) uint8: the picture in pale gray under a map (H, W) in `colour`, in blue where it is below zero."""
    gray = picture.astype(np.float64) if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114])
    paper = np.repeat((255 * (1 - PALE) + PALE * gray)[..., None], 3, axis=2)
    size = np.abs(np.nan_to_num(evidence.astype(np.float64)))
    top = float(np.percentile(size, BRIGHTEST)) or float(size.max()) or 1.0
    strength = np.clip(size / top, 0, 1)[..., None]
    ink = np.where(evidence[..., None] < 0, to_rgb(BLUE), to_rgb(colour)) * 255
    return (paper * (1 - strength) + ink * strength).round().astype(np.uint8)


@styled
def draw_units(stage: StageUnits) -> Figure:
    """A row per unit: its patches, the strongest first, and the class that most of them are of."""
    strips = [strip(unit) for unit in stage.units] or [np.full((CELL, 9 * CELL, 3), OUTSIDE, np.uint8)]
    width = max(one.shape[1] for one in strips)
    rows, middles, top = [], [], 0
    for one in strips:
        gap = np.full((len(one) + 2 * GAP, width, 3), PAPER, np.uint8)
        gap[: len(one), : one.shape[1]] = one
        middles.append(top + len(one) / 2)
        top += len(gap)
        rows.append(gap)
    figure = new_figure((WIDTH - 1.6) * top / width + 0.75)
    axes = figure.subplots()
    bare(axes)
    largest = max([side for unit in stage.units for one in unit.patches for side in one.pixels.shape[:2]], default=0)
    axes.imshow(np.concatenate(rows), interpolation="nearest" if largest < SHARP else "antialiased")
    axes.set_xticks([])
    axes.set_yticks(middles, [_unit_label(unit) for unit in stage.units] or ["all silent"], fontsize=8)
    figure.suptitle(f"{label(stage.name)}: {what_it_sees(stage)}", x=0.02, ha="left", fontsize=10, fontweight="bold")
    figure.supxlabel(units_legend(stage), x=0.02, ha="left", fontsize=7, color=MUTED)
    return figure


def _unit_label(unit: Unit) -> str:
    majority = majority_of(unit)
    return f"unit {unit.number}" + (f"\n{majority}" if majority else "")


def majority_of(unit: Unit) -> str:
    """'mostly frog', if most of its patches are of one class; else nothing."""
    names = [patch.class_name for patch in unit.patches if patch.class_name]
    most = max(names, key=names.count, default="")
    return f"mostly {label(most, 14)}" if names.count(most) >= MAJORITY else ""


def what_it_sees(stage: StageUnits) -> str:
    """'64 units, each place sees 10x10 pixels'."""
    sees = "the whole picture" if stage.sees is None else f"{stage.sees[1]}x{stage.sees[0]} pixels"
    return f"{stage.num_units} units, each place sees {sees}"


def units_legend(stage: StageUnits) -> str:
    """How the sheet is to be read."""
    cut = "the whole picture, a frame where the unit is highest"
    if stage.sees is not None:
        cut = "what the unit's place sees, gray beyond the picture's edge"
    return f"of {stage.num_pictures:,} dev pictures the nine that excite each unit most, the strongest first: {cut}"


def strip(unit: Unit) -> np.ndarray:
    """(H, W, 3) uint8: its patches side by side, small ones enlarged; gray is what lies beyond the picture's edge."""
    height = max(len(one.pixels) + one.offset[0] for one in unit.patches)
    width = max(one.pixels.shape[1] + one.offset[1] for one in unit.patches)
    factor = max(1, -(-CELL // max(height, width)))
    cells = []
    for patch in unit.patches:
        cell = np.full((height, width, 3), OUTSIDE, np.uint8)
        top, left = patch.offset
        cell[top : top + len(patch.pixels), left : left + patch.pixels.shape[1]] = _colour(patch.pixels)
        cell = cell.repeat(factor, axis=0).repeat(factor, axis=1)
        if patch.place is not None:
            _frame(cell, *(factor * one for one in patch.place))
        cells += [cell, np.full((len(cell), GAP, 3), PAPER, np.uint8)]
    return np.concatenate(cells[:-1], axis=1)


def _frame(cell: np.ndarray, top: int, left: int, bottom: int, right: int) -> None:
    """Draw the outline of a rectangle, its ends excluded, that is clipped to the cell."""
    colour = np.array(to_rgb(ORANGE)) * 255
    top, left = max(top, 0), max(left, 0)
    bottom, right = min(bottom, len(cell)) - 1, min(right, cell.shape[1]) - 1
    cell[[top, bottom], left : right + 1] = colour
    cell[top : bottom + 1, [left, right]] = colour


def _colour(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
