"""Labelled (or unlabelled) pictures as Examples, and what every picture reader shares."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, final

import numpy as np
import polars as pl

from gnomon.core.example import Example, Examples, index_frame
from gnomon.data.images.stores import Store
from gnomon.data.images.whites import Whites
from gnomon.data.labels import LabelType

VALUES_AT_ONCE = 1 << 24  # counted for the moments; counting takes 8 bytes for each value of a channel
PRODUCTS_AT_ONCE = 1 << 20  # multiplied for the covariance
MIDDLE = 127.5  # of the values of a byte
FEW = 1e-6  # below this standard deviation a picture counts as one colour


@final
@dataclass(frozen=True)
class ImageExamples(Examples):
    """N pictures. Example i is picture positions[i] of stores[store[i]]; row i of `table` has the rest about it."""

    stores: tuple[Store, ...]
    store: np.ndarray  # (N,) int64
    positions: np.ndarray  # (N,) int64
    table: pl.DataFrame  # the index: id, label (class name or null), stratum, group, time, tags
    label_type: LabelType = "text"  # of the classes, as given
    label_types: Mapping[str, LabelType] = field(default_factory=dict)  # of several targets, the columns target.NAME

    @staticmethod
    def of(
        store: Store, positions: np.ndarray, table: pl.DataFrame, label_type: LabelType = "text"
    ) -> ImageExamples:  # fmt: skip
        """Pictures of one store."""
        return ImageExamples((store,), np.zeros(len(positions), np.int64), positions, table, label_type)

    @property
    def index(self) -> pl.DataFrame:
        return self.table

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, position: int) -> Example:
        """`inputs` is (H, W) or (H, W, 3) uint8, `target` the class name or None."""
        row = self.table.row(position, named=True)
        tags = {name.removeprefix("tag."): value for name, value in row.items() if name.startswith("tag.") and value}
        picture = self.stores[self.store[position]].picture(int(self.positions[position]))
        target = {name: row[f"target.{name}"] for name in self.target_names} or row["label"]
        return Example(str(row["id"]), picture, target, tags)

    def take(self, positions: np.ndarray) -> Self:
        positions = np.asarray(positions, np.int64)
        return replace(
            self, store=self.store[positions], positions=self.positions[positions], table=self.table[positions]
        )

    def join(self, other: Self) -> Self:
        # In one piece: polars 2.1 panics, or errs, where columns of a frame are cut at different places.
        stores = [*self.stores]
        renumber = np.empty(len(other.stores), np.int64)
        for i, theirs in enumerate(other.stores):
            at = next((j for j, ours in enumerate(stores) if ours is theirs), len(stores))
            renumber[i] = at
            if at == len(stores):
                stores.append(theirs)
        return replace(
            self,
            stores=tuple(stores),
            store=np.concatenate([self.store, renumber[other.store]]),
            positions=np.concatenate([self.positions, other.positions]),
            table=pl.concat([self.table, other.table], how="diagonal_relaxed", rechunk=True),
        )

    @property
    def target_names(self) -> tuple[str, ...]:
        """Of several targets; none where a picture has one class."""
        return tuple(self.label_types)

    def targets(self) -> pl.DataFrame:
        """Several targets, as Enum of the classes that these pictures have; null where one is unknown."""
        columns = [self.table[f"target.{name}"].alias(name) for name in self.target_names]
        return pl.DataFrame([one.cast(pl.Enum(one.drop_nulls().unique().sort())) for one in columns])

    def with_labels(self, labels: pl.Series) -> Self:
        if self.target_names or (len(self) and self.table["label"].null_count() == len(self)):
            return super().with_labels(labels)  # which refuses
        return replace(self, table=self.table.with_columns(labels.alias("label"), labels.alias("stratum")))

    def with_source(self, name: str) -> Self:
        return replace(self, table=self.table.with_columns(pl.lit(name).alias("source")))

    def sizes(self) -> np.ndarray:
        """(N, 2) int64: heights and widths in pixels, upright, as stored."""
        out = np.empty((len(self), 2), np.int64)
        for store, rows in self._by_store():
            out[rows] = store.sizes(self.positions[rows])
        return out

    @property
    def is_colour(self) -> bool:
        """Whether any picture has colour."""
        return any(store.is_colour(self.positions[rows]).any() for store, rows in self._by_store())

    @property
    def whites(self) -> Whites:
        """What white is where pictures are not made of bytes: that of the source that came first."""
        return self.stores[0].whites

    @property
    def is_bytes(self) -> bool:
        """Whether every picture has 8 bits per value, so that white is 255 in all of them."""
        return all(store.is_bytes for store in self.stores)

    def pixels(self, height: int, width: int, channels: int, whites: Whites | None = None) -> np.ndarray:
        """(N, height, width, channels) uint8, C-contiguous; channels is 1 (gray) or 3.

        Each side is resized on its own, with antialiasing; nothing is cropped. The same picture gives the same values
        in every call, whatever other pictures are with it, on the scale of `whites` (None: their own). Raises
        DataError for pictures whose values are far beyond it.
        """
        whites = self.whites if whites is None else whites
        by_store = list(self._by_store())
        if len(by_store) == 1:
            return by_store[0][0].pixels(self.positions, height, width, channels, whites)
        out = np.empty((len(self), height, width, channels), np.uint8)
        for store, rows in by_store:
            out[rows] = store.pixels(self.positions[rows], height, width, channels, whites)
        return out

    def fingerprints(self) -> np.ndarray:
        out = np.empty(len(self), np.uint64)
        for store, rows in self._by_store():
            out[rows] = store.fingerprints(self.positions[rows])
        return out

    def thumbnails(self) -> np.ndarray:
        """(N, D) float32: grays of 16x16 (smaller pictures keep their size), mean 0 and standard deviation 1.

        The correlation of two is their product summed, divided by D. A picture of one colour is all zeros.
        """
        parts = [(rows, store.thumbnails(self.positions[rows])) for store, rows in self._by_store()]
        side = max((thumbnails.shape[1:] for _, thumbnails in parts), default=(1, 1))
        out = np.empty((len(self), side[0] * side[1]), np.float32)
        for rows, thumbnails in parts:
            grown = _grown(thumbnails, side).reshape(len(rows), -1)
            grown -= grown.mean(axis=1, keepdims=True)
            spread = grown.std(axis=1, keepdims=True)
            out[rows] = np.where(spread > FEW, grown / np.maximum(spread, FEW), 0)
        return out

    def _by_store(self) -> list[tuple[Store, np.ndarray]]:
        """(store, the rows that are in it), for the stores that have any."""
        if len(self.stores) == 1:
            return [(self.stores[0], np.arange(len(self)))]
        rows_of = [(store, np.flatnonzero(self.store == i)) for i, store in enumerate(self.stores)]
        return [(store, rows) for store, rows in rows_of if len(rows)]


def _grown(thumbnails: np.ndarray, side: tuple[int, ...]) -> np.ndarray:
    """Thumbnails of another size next to larger ones: the nearest pixel."""
    height, width = thumbnails.shape[1:]
    if (height, width) == side:
        return thumbnails
    return thumbnails[:, np.arange(side[0]) * height // side[0]][:, :, np.arange(side[1]) * width // side[1]]


def index_of(
    ids: Sequence[str] | pl.Series, classes: Sequence[str | None] | None, folders: Sequence[str] | None = None
) -> pl.DataFrame:
    """The index of pictures: no groups, no times; `folders` become the tag "folder" if they differ between pictures."""
    index = index_frame(ids, label=classes)
    if folders is not None and len(set(folders)) > 1:
        index = index.with_columns(pl.Series("tag.folder", folders, dtype=pl.String))
    return index


def same_picture_twice(examples: ImageExamples) -> list[str]:
    """Notes on exact copies with different classes: one of the two labels must be wrong."""
    table = examples.index.select("id", "label").with_columns(print=pl.Series(examples.fingerprints()))
    torn = (
        table.group_by("print", maintain_order=True)
        .agg(pl.col("id"), pl.col("label").n_unique().alias("classes"))
        .filter(pl.col("classes") > 1)
    )
    if torn.is_empty():
        return []
    shown = "; ".join(" = ".join(ids[:2]) for ids in torn["id"].head(3).to_list())
    return [f"the same picture in different classes: {len(torn):,} ({shown})"]


@dataclass(frozen=True)
class Moments:
    """Of the pixels of pictures, values in [0, 1], by channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]  # 1 for a channel of one value
    covariance: tuple[tuple[float, ...], ...]


def moments(examples: ImageExamples, height: int, width: int, channels: int) -> Moments:
    """Of all pixels of the examples at this size."""
    counts = np.zeros((channels, 256), np.int64)  # per value: exact, whatever the number of pixels
    products = np.zeros((channels, channels))
    few = max(1, VALUES_AT_ONCE // (height * width * channels))
    for start in range(0, len(examples), few):
        chunk = examples.take(np.arange(start, min(start + few, len(examples))))
        values = chunk.pixels(height, width, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(values[..., channel].ravel(), minlength=256)
        for pixels in np.array_split(values.reshape(-1, channels), -(-values.size // PRODUCTS_AT_ONCE)):
            around = pixels.astype(np.float32) - np.float32(MIDDLE)  # so that float32 has digits enough
            products += around.T @ around
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    levels = np.arange(256) / 255
    mean = shares @ levels
    std = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1))
    middle = (mean - MIDDLE / 255)[:, None]
    covariance = products / np.maximum(counts.sum(axis=1).max(), 1) / 255**2 - middle @ middle.T
    rows = tuple(tuple(row) for row in covariance.tolist())
    return Moments(tuple(mean.tolist()), tuple(np.where(std > FEW, std, 1.0).tolist()), rows)


def as_png(pixels: np.ndarray) -> bytes:
    """(H, W) or (H, W, 3) uint8 as the content of a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
