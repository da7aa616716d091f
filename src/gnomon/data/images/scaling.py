"""Numeric arrays as pictures of bytes, on the scale of a training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnomon.core.errors import DataError
from gnomon.data.images.whites import BYTE, DIM, LARGEST, OTHER_SCALE, Range, Whites
from gnomon.data.source import counted

CHANNELS = (1, 3, 4)
_CHUNK = 4_096  # pictures scaled at a time


@dataclass(frozen=True)
class Bytes:
    """Pictures of an array."""

    pixels: np.ndarray  # (N, H, W) or (N, H, W, 3) uint8
    whites: Whites  # what white is: as given, or as the array itself shows
    notes: tuple[str, ...]  # what was done


def as_bytes(array: np.ndarray, origin: str, whites: Whites | None = None) -> Bytes:
    """An array of pictures as bytes. Bytes stay as they are and are not copied.

    Other numbers are scaled so that white becomes 255. Without the `whites` of a training set the range of the array
    determines white: 1, 16 (whole numbers), 255, 4,095 (whole numbers) or 65,535. Raises DataError for NaN,
    negative or larger values, and for shapes that are not pictures.
    """
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in CHANNELS) or 0 in array.shape:
        raise DataError(
            f"an array of shape {'x'.join(map(str, array.shape))} is not a set of pictures.",
            where=origin,
            fix="give (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4), N at least 1.",
        )
    if array.dtype.kind not in "biuf":
        raise DataError(f"pictures of type {array.dtype} are not numbers.", where=origin, fix="give uint8 or floats.")
    notes: list[str] = []
    if array.dtype == np.uint8 and white_of(array, whites or Whites()) == BYTE:
        pixels, whites = array, whites or Whites()
    else:
        values = _range(array, origin)
        is_known = whites is not None
        if whites is None:
            whites = Whites(floating=values.white()) if array.dtype.kind == "f" else Whites(whole=values.white())
        notes += _check(array, values, white_of(array, whites), origin, is_known=is_known)
        pixels = scaled(array, whites)
    if array.ndim == 4 and array.shape[3] == 4:
        notes.append("the fourth channel is read as transparency; transparent pixels are put on white")
        pixels = _over_white(pixels)
    return Bytes(pixels[..., 0] if array.ndim == 4 and array.shape[3] == 1 else pixels, whites, tuple(notes))


def on_scale(array: np.ndarray, whites: Whites) -> np.ndarray:
    """The pictures of `array` as bytes on the scale of `whites`. Raises DataError for values far beyond it."""
    return as_bytes(array, "these pictures", whites).pixels


def white_of(array: np.ndarray, whites: Whites) -> float:
    """What white is in an array like this one."""
    return whites.of_array(array.dtype.kind, array.dtype.itemsize)


def scaled(array: np.ndarray, whites: Whites) -> np.ndarray:
    """The same shape in uint8; values beyond white become white."""
    white = white_of(array, whites)
    out = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), _CHUNK):
        values = np.minimum(array[start : start + _CHUNK].astype(np.float64), white)
        out[start : start + _CHUNK] = np.rint(values * (BYTE / white))
    return out


def _check(array: np.ndarray, values: Range, white: float, origin: str, *, is_known: bool) -> list[str]:
    """Notes about the scale. Raises DataError for values that are on no scale, or on another one than `white`'s."""
    if values.low < 0 or values.high > LARGEST:
        raise DataError(
            f"pixel values range from {values.low:g} to {values.high:g}, which is not 0..1, 0..255 or 0..65,535.",
            where=origin,
            fix="give pictures before any normalisation; gnomon normalises by the training split.",
        )
    if values.high > OTHER_SCALE * white:
        raise DataError(
            f"{array.dtype} pixel values go up to {values.high:,g}, but white is {white:,g} in the training set.",
            where=origin,
            fix=f"give pictures on the scale of the training set: 0..{white:,g}.",
        )
    rounded = ": rounded" if white == BYTE and not values.is_whole else ""
    how = {1.0: ": multiplied by 255", BYTE: rounded, LARGEST: ": divided by 257"}.get(
        white, f": multiplied by 255/{white:,.0f}"
    )
    found = f"{array.dtype} pixel values from {values.low:g} to {values.high:,g}"
    notes = [f"{found}, scale 0..{white:,.0f}{' as in training' if is_known else ''}{how}"]
    if values.high > white:
        over = sum(int((picture > white).any()) for picture in array)
        notes.append(f"{counted(over, 'picture')} with values above {white:,g} (white in training): clipped to white")
    elif is_known and values.high < DIM * white:
        notes.append(f"no pixel value reaches 1/64 of {white:,g} (white in training): nearly black on that scale")
    return notes


def _range(array: np.ndarray, origin: str) -> Range:
    found = Range()
    for start in range(0, len(array), _CHUNK):
        chunk = array[start : start + _CHUNK]
        if array.dtype.kind == "f" and not np.isfinite(chunk).all():
            wrong = np.flatnonzero(~np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)) + start
            raise DataError(
                f"picture {wrong[0]} has NaN or infinite values.",
                where=origin,
                fix="repair or drop such pictures.",
            )
        is_whole = array.dtype.kind != "f" or bool((chunk == np.rint(chunk)).all())
        found |= Range(float(chunk.min()), float(chunk.max()), is_whole)
    return found


def _over_white(array: np.ndarray) -> np.ndarray:
    out = np.empty((*array.shape[:3], 3), np.uint8)
    for start in range(0, len(array), _CHUNK):
        chunk = array[start : start + _CHUNK].astype(np.float32)
        alpha = chunk[..., 3:] / 255
        out[start : start + _CHUNK] = np.rint(chunk[..., :3] * alpha + 255 * (1 - alpha))
    return out
