"""Boxes, masks and points drawn into the pixels of a picture, for files, pages and sheets alike."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gnomon.figures.text import label

if TYPE_CHECKING:
    from gnomon.core.parts import View

Colour = tuple[int, int, int]

# Okabe & Ito 2008: told apart by colour-blind people, and bright enough on dark pictures
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 198, 140), (240, 228, 66), (225, 90, 20), (90, 130, 255), (224, 130, 182),
)  # fmt: skip
EDGE: Colour = (16, 16, 16)  # beside every line, so that it shows on bright pictures too
COVER = 0.45  # of a mask's colour in a pixel
READABLE = 320  # pixels of the longer side, up to which small pictures are enlarged: captions need room
LINES_PER_SIDE, LETTERS_PER_SIDE = 500, 100  # widths of a line, heights of a letter in the longer side
SMALLEST_LETTER = 11  # pixels
CAPTION = 32  # characters


def marked(view: View, most: int | None = None) -> np.ndarray:
    """(H, W, 3) uint8: the picture with its boxes, their captions, its mask and its points.

    A picture smaller than READABLE is enlarged by a whole factor, one larger than `most` pixels a side is reduced.
    """
    assert view.image is not None
    picture, scale = scaled(covered(view), most)
    width = line_width(picture)
    draw = ImageDraw.Draw(picture)
    boxes = np.empty((0, 4)) if view.boxes is None else np.asarray(view.boxes, float) * scale
    for place, box in enumerate(boxes.tolist()):
        draw_box(draw, box, colour_of(0 if view.labels is None else int(view.labels[place])), width)
    for place, box in enumerate(boxes.tolist() if view.captions else []):  # over all the boxes
        colour = colour_of(0 if view.labels is None else int(view.labels[place]))
        draw_caption(draw, box, label(view.captions[place], CAPTION), colour, picture.size)
    points = np.empty((0, 2)) if view.points is None else np.asarray(view.points, float) * scale
    for place, (x, y) in enumerate(points.tolist()):
        if not math.isnan(x):
            draw_point(draw, x, y, colour_of(place), width)
    return np.asarray(picture)


def scaled(pixels: np.ndarray, most: int | None) -> tuple[Image.Image, float]:
    """A picture as `marked` draws on it, and by which factor it is larger than `pixels` (H, W) or (H, W, 3)."""
    picture = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    scale = _scale(max(picture.size), most)
    if scale != 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
    return picture, scale


def line_width(picture: Image.Image) -> int:
    """Pixels of a line on a picture of this size."""
    return max(1, round(max(picture.size) / LINES_PER_SIDE))


def colour_of(number: int) -> Colour:
    """The colour of a class."""
    return PALETTE[number % len(PALETTE)]


def _scale(longer: int, most: int | None) -> float:
    if longer < READABLE:
        return float(math.ceil(READABLE / longer))
    return 1.0 if most is None else min(1.0, most / longer)


def covered(view: View) -> np.ndarray:
    """The pixels, under the colours of the mask's classes; class 0 shows the picture."""
    pixels = np.asarray(view.image)
    if view.mask is None:
        return pixels
    colour = np.array([colour_of(number - 1) for number in range(int(view.mask.max(initial=0)) + 1)], float)
    is_marked = view.mask > 0
    whole = (np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels[..., :3]).copy()
    mixed = (1 - COVER) * whole[is_marked] + COVER * colour[view.mask[is_marked]]
    whole[is_marked] = mixed.round().astype(np.uint8)
    return whole


def draw_box(draw: ImageDraw.ImageDraw, box: list[float], colour: Colour, width: int) -> None:
    """The line is inside the box; around it, one pixel of EDGE."""
    left, top, right, bottom = (round(side) for side in box)
    corners = [left, top, max(right - 1, left), max(bottom - 1, top)]
    draw.rectangle([corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1], outline=EDGE)
    draw.rectangle(corners, outline=colour, width=width)


def draw_caption(
    draw: ImageDraw.ImageDraw, box: list[float], text: str, colour: Colour, size: tuple[int, int],
    *, is_below: bool = False,
) -> None:  # fmt: skip
    """Above the box, or below it; in it where the picture ends."""
    font = _font(max(SMALLEST_LETTER, round(max(size) / LETTERS_PER_SIDE)))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = math.ceil(right - left) + 4, math.ceil(bottom - top) + 4
    x = min(max(0, round(box[0])), max(0, size[0] - width))
    y = round(box[1]) - height if box[1] >= height else round(box[1])
    if is_below:
        y = round(box[3]) if box[3] + height <= size[1] else round(box[3]) - height
    y = min(max(0, y), max(0, size[1] - height))
    draw.rectangle([x, y, x + width - 1, y + height - 1], fill=colour)
    draw.text((x + 2 - left, y + 2 - top), text, font=font, fill=EDGE)


def draw_point(draw: ImageDraw.ImageDraw, x: float, y: float, colour: Colour, width: int) -> None:
    reach = 2 + 2 * width
    draw.ellipse([x - reach, y - reach, x + reach, y + reach], outline=EDGE, width=1)
    draw.ellipse([x - reach + 1, y - reach + 1, x + reach - 1, y + reach - 1], outline=colour, width=width)
    draw.point((x, y), fill=colour)


@functools.cache
def _font(height: int) -> ImageFont.FreeTypeFont:
    """DejaVu, which comes with Matplotlib and has most alphabets."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", height)
