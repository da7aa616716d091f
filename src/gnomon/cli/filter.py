"""What `gnomon filter` shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.cli.text import printable

if TYPE_CHECKING:
    from gnomon.workflow.filter import Filtered

KNOWN = ("kind", "padding", "out", "low", "high", "max_pixels")
ABOUT = {
    "sobel": "edges in all directions: sqrt(x² + y²)",
    "scharr": "edges in all directions, nearly equally strong in each: sqrt(x² + y²)",
    "vertical": "vertical edges",
    "horizontal": "horizontal edges",
    "laplace": "edges and dots: the second derivative",
    "canny": "thin edges: smoothed, sqrt(x² + y²), the strongest pixel across each edge",
}


def print_filtered(found: Filtered) -> None:
    height, width = found.size
    about = ABOUT.get(found.kind) or f"edges at {found.kind} degrees (0 horizontal, 90 vertical)"
    colour = ", colours turned gray" if found.is_colour else ""
    lines = [f"  picture  {width}x{height} pixels{colour}"]
    lines += [f"           {printable(note)}" for note in found.notes]
    lines += [f"  filter   {about}", "", *_numbers(found), ""]
    out_height, out_width = found.values.shape
    rule = f": floor((n + 2p - f) / s) + 1 with f = 3, s = 1, p = {1 if found.padding == 'same' else 0}"
    is_canny = found.kind == "canny"  # which slides several filters one after the other
    lines.append(f"  size     {out_width}x{out_height}{'' if is_canny else rule}")
    if is_canny:
        lines.append(f"  edges    {100 * found.values.mean():.1f} % of the pixels, white")
    else:
        lowest, highest = _ends(found)
        lines.append(f"  values   {lowest:.4g} to {highest:.4g}; black is {found.black:.4g}, white {found.white:.4g}")
    if found.picture is not None:
        lines.append(f"  saved    {printable(str(found.picture))}")
    sys.stdout.write("\n".join(lines) + "\n")


def filtered_as_json(found: Filtered) -> dict[str, Any]:
    lowest, highest = _ends(found)
    return {
        "picture": None if found.picture is None else str(found.picture),
        "kind": found.kind,
        "padding": found.padding,
        "kernels": {name or "filter": kernel.tolist() for name, kernel in found.kernels.items()},
        "height": found.size[0],
        "width": found.size[1],
        "out_height": found.values.shape[0],
        "out_width": found.values.shape[1],
        "lowest": lowest,
        "highest": highest,
        "black": found.black,
        "white": found.white,
        "notes": list(found.notes),
    }


def _ends(found: Filtered) -> tuple[float, float]:
    return float(found.values.min()), float(found.values.max())


def _numbers(found: Filtered) -> list[str]:
    """The filters beside each other, each with its name above."""
    blocks = []
    for name, kernel in found.kernels.items():
        cells = [[_cell(value) for value in row] for row in kernel]
        width = max(len(cell) for row in cells for cell in row)
        rows = ["  ".join(cell.rjust(width) for cell in row) for row in cells]
        blocks.append([name.center(len(rows[0])), *rows] if name else rows)
    return ["           " + "      ".join(parts).rstrip() for parts in zip(*blocks, strict=True)]


def _cell(value: float) -> str:
    text = f"{np.round(value, 3):g}"
    return "0" if text == "-0" else text
