"""Labels and answers drawn on one picture: labels dashed and blue, answers orange, captions on what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageDraw

from gnomon.figures.marks import (
    CAPTION,
    EDGE,
    PALETTE,
    Colour,
    colour_of,
    covered,
    draw_box,
    draw_caption,
    line_width,
    scaled,
)
from gnomon.figures.text import label as shortened

if TYPE_CHECKING:
    from gnomon.core.parts import View

Shown = Literal["both", "label", "answer"]

ANSWER, LABEL = PALETTE[:2]  # orange and sky blue; as bright as one another: in grey, the dashes tell them apart
OUTLINE: Colour = (255, 255, 255)  # of labelled masks: no class is tinted white
SAME = 0.5  # IoU from which an answer is right
DASH = 3  # widths of a line
LEAST_WIDTH = 2  # pixels: of one, dashes and their gaps look alike


def compared(label: View, answer: View, shown: Shown = "both", *, most: int | None = None) -> np.ndarray:
    """(H, W, 3) uint8: one picture with its labels, its answers or both, boxes, masks and points alike.

    `label` and `answer` are views of the same picture. With both, an answer has its caption where it is wrong, and a
    label where no answer is right about it; of masks the answer is tinted, and the labels' outlines lie over it.
    """
    tinted = label if shown == "label" else answer
    picture, scale = scaled(covered(replace(tinted, boxes=None, points=None)), most)
    width = max(LEAST_WIDTH, line_width(picture))
    if label.mask is not None and shown != "answer":
        picture = _outlined(picture, label.mask)
    draw = ImageDraw.Draw(picture)
    is_right, is_found = _matched(label, answer)
    if shown != "answer":
        _draw_boxes(
            draw, label, scale, LABEL, width, ~is_found if shown == "both" else None, picture.size, is_dashed=True
        )
    if shown != "label":
        _draw_boxes(draw, answer, scale, ANSWER, width, ~is_right if shown == "both" else None, picture.size)
    _draw_points(draw, label, answer, shown, scale, width)
    return np.asarray(picture)


@dataclass(frozen=True, slots=True)
class Legend:
    """How to read such a picture."""

    text: str
    colours: tuple[tuple[str, str], ...]  # (name, "#rrggbb")


def legend_of(label: View, class_names: Sequence[str] = ()) -> Legend:
    """For pictures of which `label` is one; `class_names` of masks."""
    label_and_answer = ("label", _hex(LABEL)), ("answer", _hex(ANSWER))
    if label.mask is not None:
        tints = tuple((name, _hex(colour_of(place))) for place, name in enumerate(class_names[1:]))
        return Legend("Tinted: the answer. White lines: outlines of the label.", tints)
    if label.points is not None:
        return Legend("Circles: the label. Crosses: the answer, with a line to its label.", label_and_answer)
    text = "Dashed: labels. Solid: answers. What is wrong or missed has its class, and an answer its score."
    return Legend(text, label_and_answer)


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def _matched(label: View, answer: View) -> tuple[np.ndarray, np.ndarray]:
    """Which answers (D,) are right, first come first served, and which labels (M,) have one."""
    labels, answers = (np.empty((0, 4)) if one.boxes is None else np.asarray(one.boxes) for one in (label, answer))
    is_right, is_found = np.zeros(len(answers), bool), np.zeros(len(labels), bool)
    kinds, said = (
        np.zeros(len(boxes), np.int64) if one.labels is None else np.asarray(one.labels)
        for one, boxes in ((label, labels), (answer, answers))
    )
    for place, box in enumerate(answers):
        low, high = np.maximum(box[:2], labels[:, :2]), np.minimum(box[2:], labels[:, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        union = np.prod(box[2:] - box[:2]) + (labels[:, 2:] - labels[:, :2]).prod(axis=1) - shared
        iou = np.where((kinds == said[place]) & ~is_found, shared / np.maximum(union, 1e-12), 0.0)
        if len(iou) and iou.max() >= SAME:
            is_right[place] = is_found[int(iou.argmax())] = True
    return is_right, is_found


def _draw_boxes(
    draw: ImageDraw.ImageDraw, view: View, scale: float, colour: Colour, width: int, captioned: np.ndarray | None,
    size: tuple[int, int], *, is_dashed: bool = False,
) -> None:  # fmt: skip
    """`captioned` (K,) bool: whose captions are drawn; None: all of them."""
    boxes = [] if view.boxes is None else (np.asarray(view.boxes, float) * scale).tolist()
    for box in boxes:
        if is_dashed:
            _draw_dashed(draw, box, colour, width)
        else:
            draw_box(draw, box, colour, width)
    for place, box in enumerate(boxes if view.captions else []):
        if captioned is None or captioned[place]:
            draw_caption(draw, box, shortened(view.captions[place], CAPTION), colour, size, is_below=is_dashed)


def _draw_dashed(draw: ImageDraw.ImageDraw, box: list[float], colour: Colour, width: int) -> None:
    """A line inside the box; in its gaps the line is EDGE, so that it shows on pictures of its own colour."""
    left, top, right, bottom = (round(side) for side in box)
    right, bottom = max(right - 1, left), max(bottom - 1, top)
    draw.rectangle([left, top, right, bottom], outline=EDGE, width=width)
    dash = DASH * width
    for start in range(left, right + 1, 2 * dash):
        end = min(start + dash, right)
        draw.rectangle([start, top, end, min(top + width - 1, bottom)], fill=colour)
        draw.rectangle([start, max(bottom - width + 1, top), end, bottom], fill=colour)
    for start in range(top, bottom + 1, 2 * dash):
        end = min(start + dash, bottom)
        draw.rectangle([left, start, min(left + width - 1, right), end], fill=colour)
        draw.rectangle([max(right - width + 1, left), start, right, end], fill=colour)


def _outlined(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """The outlines of the mask's classes, OUTLINE inside and EDGE beside it."""
    columns = np.minimum((np.arange(picture.width) + 0.5) * mask.shape[1] / picture.width, mask.shape[1] - 1)
    rows = np.minimum((np.arange(picture.height) + 0.5) * mask.shape[0] / picture.height, mask.shape[0] - 1)
    classes = mask[rows.astype(np.int64)[:, None], columns.astype(np.int64)]
    inside, beside = np.zeros(classes.shape, bool), np.zeros(classes.shape, bool)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        inside[here] |= classes[here] > classes[there]
        inside[there] |= classes[there] > classes[here]
        beside[here] |= classes[here] < classes[there]
        beside[there] |= classes[there] < classes[here]
    pixels = np.asarray(picture).copy()
    pixels[beside], pixels[inside] = EDGE, OUTLINE
    return Image.fromarray(pixels)


def _draw_points(
    draw: ImageDraw.ImageDraw, label: View, answer: View, shown: Shown, scale: float, width: int
) -> None:  # fmt: skip
    """Labels as circles, answers as crosses, and a line between the two."""
    labels, answers = (
        np.empty((0, 2)) if one.points is None else np.asarray(one.points, float)[:, :2] * scale
        for one in (label, answer)
    )
    reach = 2 + 2 * width
    if shown == "both":
        for one, other in zip(labels.tolist(), answers.tolist(), strict=False):
            if not any(map(math.isnan, (*one, *other))):
                draw.line([*one, *other], fill=ANSWER, width=width)
    for x, y in labels.tolist() if shown != "answer" else []:
        if not math.isnan(x):
            draw.ellipse([x - reach, y - reach, x + reach, y + reach], outline=EDGE, width=width + 2)
            draw.ellipse([x - reach, y - reach, x + reach, y + reach], outline=LABEL, width=width)
    for x, y in answers.tolist() if shown != "label" else []:
        if not math.isnan(x):
            for colour, wide in ((EDGE, width + 2), (ANSWER, width)):
                draw.line([x - reach, y - reach, x + reach, y + reach], fill=colour, width=wide)
                draw.line([x - reach, y + reach, x + reach, y - reach], fill=colour, width=wide)
