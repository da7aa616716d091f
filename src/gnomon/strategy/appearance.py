"""Examples as named numbers: what a picture, a text or a row looks like, not what it means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

GRID = 3  # fields per side of a picture
COMMON_WORDS = 200  # over both sides together, by the number of texts that contain them
MOST_LEVELS = 30  # of a categorical column; rarer ones are merged
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Appearance:
    """N examples with D numbers each; NaN where there is none."""

    names: tuple[str, ...]
    values: np.ndarray  # (N, D) float64


def of_pictures(pictures: Sequence[np.ndarray]) -> Appearance:
    """From (H, W) or (H, W, 3) uint8 pictures of any sizes."""
    rows = [_picture(picture) for picture in pictures]
    return Appearance(tuple(rows[0]), np.array([list(row.values()) for row in rows]))


def _picture(pixels: np.ndarray) -> dict[str, float]:
    image = pixels.astype(np.float64) / 255
    colour = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    gray = colour[:, :, :3] @ LUMA
    height, width = gray.shape
    across, down = np.abs(np.diff(gray, axis=1)), np.abs(np.diff(gray, axis=0))
    padded = np.pad(gray, 1, mode="edge")
    around = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
    contrast = float(gray.std())
    edges = float(across.mean() if width > 1 else 0) + float(down.mean() if height > 1 else 0)
    found = {
        "brightness": float(gray.mean()),
        "contrast": contrast,
        "darkest twentieth": float(np.quantile(gray, 0.05)),
        "brightest twentieth": float(np.quantile(gray, 0.95)),
        "edges": edges,
        "sharpness": float((gray - around).std()) / max(contrast, 1e-6),
        "grain": float(np.median(np.abs(gray - around))),
        "edges across / down": float(np.log((across.mean() + 1e-6) / (down.mean() + 1e-6)))
        if min(height, width) > 1
        else 0.0,
        "red - green": float((colour[:, :, 0] - colour[:, :, 1]).mean()),
        "blue - green": float((colour[:, :, 2] - colour[:, :, 1]).mean()),
        "colourfulness": float((colour.max(axis=2) - colour.min(axis=2)).mean()),
        "height": float(height),
        "width": float(width),
    }
    rows, columns = (np.linspace(0, size, GRID + 1).astype(int) for size in (height, width))
    for i in range(GRID):
        for j in range(GRID):
            field = gray[rows[i] : max(rows[i + 1], rows[i] + 1), columns[j] : max(columns[j + 1], columns[j] + 1)]
            found[f"brightness {('top', 'middle', 'bottom')[i]} {('left', 'centre', 'right')[j]}"] = float(
                field.mean() if field.size else gray.mean()
            )
    return found


def of_texts(texts: Sequence[str]) -> Appearance:
    """Length, case, digits, punctuation, and which of the most common words occur."""
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    documents = Counter(word for one in words for word in set(one))
    common = [word for word, count in documents.most_common(COMMON_WORDS) if count < len(texts)]
    place = {word: column for column, word in enumerate(common)}
    shape = np.array([_text(text, one) for text, one in zip(texts, words, strict=True)])
    has = np.zeros((len(texts), len(common)))
    for row, one in enumerate(words):
        has[row, [place[word] for word in set(one) if word in place]] = 1
    names = ("characters", "words", "letters per word", "capitals", "digits", "punctuation")
    return Appearance((*names, *(f"has {word!r}" for word in common)), np.hstack([shape, has]))


def _text(text: str, words: Sequence[str]) -> list[float]:
    size = max(len(text), 1)
    return [
        len(text),
        len(words),
        sum(map(len, words)) / max(len(words), 1),
        sum(mark.isupper() for mark in text) / size,
        sum(mark.isdigit() for mark in text) / size,
        sum(not (mark.isalnum() or mark.isspace()) for mark in text) / size,
    ]


def of_rows(frame: pl.DataFrame) -> Appearance:
    """Numbers and dates as they are, booleans as 0 and 1, each common level of a text column as 0 or 1."""
    import polars as pl

    names: list[str] = []
    columns: list[np.ndarray] = []
    for series in frame:
        kind = series.dtype
        if kind.is_numeric() or kind == pl.Boolean:
            names.append(series.name)
            columns.append(series.cast(pl.Float64).fill_null(np.nan).to_numpy())
            continue
        if kind.is_temporal():
            names.append(series.name)
            columns.append(series.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy())
            continue
        text = series.cast(pl.String, strict=False)
        numbers = text.cast(pl.Float64, strict=False)
        if len(text) and numbers.null_count() == text.null_count() < len(text):
            names.append(series.name)
            columns.append(numbers.fill_null(np.nan).to_numpy())
            continue
        levels = [level for level, _ in Counter(text.to_list()).most_common(MOST_LEVELS)]
        for level in levels:
            names.append(f"{series.name} missing" if level is None else f"{series.name} = {level}")
            columns.append(
                (text.is_null() if level is None else (text == level).fill_null(False)).cast(float).to_numpy()
            )
    values = np.column_stack(columns) if columns else np.zeros((len(frame), 0))
    return Appearance(tuple(names), np.where(np.isfinite(values), values, np.nan))


def of_mappings(rows: Sequence[Mapping[str, Any]]) -> Appearance:
    """As `of_rows`, from the rows as a person sees them."""
    import polars as pl

    return of_rows(pl.DataFrame([dict(row) for row in rows], infer_schema_length=None, strict=False))
