"""filter: an edge filter slid over one picture, as the first layer of a convnet slides its own."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.core.errors import DataError, UsageError
from gnomon.core.options import new_file, number, one_of, whole
from gnomon.core.settings import DataSettings
from gnomon.data.images.decoding import BYTES_PER_PIXEL, UnreadableError, decode, decoder_guard
from gnomon.data.images.examples import as_png
from gnomon.data.images.filters import KINDS, Padding, canny, filtered, kernels
from gnomon.data.source import reason_of
from gnomon.runs.writer import write_bytes

ENDING = ".png"
LOW, HIGH = 0.1, 0.2  # strengths where black to white has up to 4; as scikit-image has them
SIDE = 3  # pixels of a filter


@dataclass(frozen=True)
class Filtered:
    """The result. In the file black to white is `black` to `white`."""

    kind: str  # "sobel", or the angle
    kernels: Mapping[str, np.ndarray]  # each (3, 3), not flipped; the only one is called ""
    size: tuple[int, int]  # height and width of the picture
    is_colour: bool  # and was turned gray
    values: np.ndarray  # (H, W) float32, or bool for canny
    padding: Padding
    black: float
    white: float
    picture: Path | None  # the file; None if there is none
    notes: tuple[str, ...] = ()  # what was done to the picture before


def filter(  # noqa: A001  the name of the command
    picture: Any,
    *,
    kind: str | float = "sobel",
    padding: str = "same",
    out: str | Path | None = None,
    low: float | str | None = None,
    high: float | str | None = None,
    max_pixels: int | str = DataSettings().max_pixels,
) -> Filtered:
    """Slide an edge filter over `picture`: a file, or an array (H, W) or (H, W, 3), which is turned gray.

    `kind`: sobel, scharr (both directions merged), vertical, horizontal, laplace, canny, or the angle in degrees at
    which the edges run (0 horizontal, 90 vertical). `padding`: same keeps the size, valid leaves out the border.
    `low` and `high`: strengths that canny keeps (if connected; always), of up to 4. The result of a file is written
    as PNG to the current directory, or to `out`; that of an array only to `out`. Nothing is overwritten.
    Raises UsageError, DataError, MachineError.
    """
    kind = _kind(kind)
    border: Padding = "valid" if one_of("padding", padding, ("same", "valid")) == "valid" else "same"
    is_canny = kind == "canny"
    strengths = _strengths(low, high, is_canny=is_canny)
    target = None if out is None else new_file(out, (ENDING,), f"edges{ENDING}")
    if is_canny and border == "valid":
        raise UsageError("canny keeps the size: it has no padding=valid.", fix="leave padding out.")
    path = Path(picture) if isinstance(picture, str | os.PathLike) else None
    pixels, notes = _read(path, whole("max_pixels", max_pixels, 1)) if path else (_checked(picture), ())
    if border == "valid" and min(pixels.shape[:2]) < SIDE:
        raise DataError(
            f"{pixels.shape[0]}x{pixels.shape[1]} pixels: a filter of {SIDE}x{SIDE} does not fit.",
            where=None if path is None else str(path), fix="use padding=same, or a larger picture.",
        )  # fmt: skip
    found = kernels(kind)
    if is_canny:
        values = canny(pixels, white=_white(pixels), low=strengths[0], high=strengths[1])
        black, white = 0.0, 1.0
    else:
        values = filtered(pixels, found, padding=border)
        white = float(np.abs(values).max(initial=0.0))
        black = -white if found.is_signed else 0.0
    if path is not None or target is not None:
        target = target or _free_name(path, kind)
        write_bytes(target, as_png(_eight_bits(values, black, white)))
    return Filtered(
        kind if isinstance(kind, str) else f"{kind:g}", found.by_name, pixels.shape[:2], pixels.ndim == 3, values,
        border, black, white, target, notes,
    )  # fmt: skip


def _kind(kind: str | float) -> str | float:
    """One of KINDS, or an angle."""
    if kind in KINDS:
        return kind
    try:
        angle = float(kind)
    except (TypeError, ValueError):
        angle = math.nan
    if not math.isfinite(angle):
        raise UsageError(
            f"kind={kind} is not an edge filter.", fix=f"choose {', '.join(KINDS)}, or an angle in degrees: kind=45."
        )
    return angle


def _strengths(low: float | str | None, high: float | str | None, *, is_canny: bool) -> tuple[float, float]:
    if not is_canny and not (low is None and high is None):
        raise UsageError("low and high are for kind=canny alone.", fix="leave them out.")
    least = LOW if low is None else number("low", low)
    most = HIGH if high is None else number("high", high)
    if not 0 <= least <= most:
        raise UsageError(
            f"low={least:g} and high={most:g}: canny needs 0 <= low <= high.", fix=f"low={LOW} high={HIGH}, say."
        )
    return least, most


def _read(path: Path, max_pixels: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W) or (H, W, 3) uint8, upright, at its full size."""
    if path.is_dir():
        raise DataError("is a folder, not a picture.", where=str(path), fix="give one picture file.")
    try:
        if path.stat().st_size > BYTES_PER_PIXEL * max_pixels:
            raise DataError(
                f"larger than a picture of max_pixels={max_pixels:,} can be.", where=str(path), fix="raise max_pixels=."
            )
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {reason_of(error)}.", where=str(path), fix="give a picture file.") from None
    try:
        with decoder_guard(max_pixels):
            found = decode(content, path.name, max_pixels=max_pixels, least_side=max_pixels)  # never shrunk
    except UnreadableError as error:
        raise DataError(
            f"cannot be used as a picture: {error.why}.", where=str(path), fix="give a PNG, JPEG, TIFF ... of it."
        ) from None
    return found.pixels, found.remarks


def _checked(picture: Any) -> np.ndarray:
    pixels = np.asarray(picture)
    has_shape = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if not has_shape or 0 in pixels.shape or pixels.dtype.kind not in "buif":
        raise DataError(
            f"an array of shape {pixels.shape} and type {pixels.dtype} is not a picture.",
            fix="give numbers of shape (H, W), or (H, W, 3) for red, green, blue.",
        )
    if not np.isfinite(pixels).all():
        raise DataError("the picture has values that are not finite.", fix="replace them.")
    return pixels


def _white(pixels: np.ndarray) -> float:
    """What is white in an array of this type: 1 in floats."""
    return float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "ui" else 1.0


def _eight_bits(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """(H, W) uint8. A picture without any edge is middle gray if its values have a sign, else black."""
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    scaled = values * np.float32(255 / ((white - black) or 1))
    if black < 0:
        scaled += np.float32(127.5)
    elif white == 0:
        scaled[:] = 0
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _free_name(path: Path | None, kind: str | float) -> Path:
    """In the current directory: a picture beside another one of a data set would become a part of that."""
    stem = f"{path.stem if path else 'picture'}-{kind if isinstance(kind, str) else f'{kind:g}'}"
    tries = (Path(f"{stem}{ENDING}" if i == 1 else f"{stem}-{i}{ENDING}") for i in itertools.count(1))
    return next(name for name in tries if not os.path.lexists(name))
