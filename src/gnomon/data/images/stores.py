"""Where pictures live: files that are decoded when looked at (and remembered while they fit), or one array."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.example import BadInput
from gnomon.data.images.decoding import BYTES_A_PIXEL, Picture, UnreadableError, decode, decoder_guard
from gnomon.data.room import memory_left
from gnomon.data.source import File, Tree, display_name

MEMORY = 10**9  # bytes of decoded pictures that a store remembers; no more than a quarter of what is left
THUMBNAIL = 16  # pixels a side
THREADS_FROM = 16_384  # bytes: decoding smaller files is mostly Python, where a second thread only costs time
_GROUP = 64  # pictures a thread takes at a time
_CHUNK = 4_096  # pictures of an array turned into floats at a time


class Store(Protocol):
    """M pictures. Positions are int64 arrays into them."""

    def sizes(self, positions: np.ndarray) -> np.ndarray:
        """(N, 2) int64: heights and widths in pixels, upright, as stored."""

    def is_colour(self, positions: np.ndarray) -> np.ndarray:
        """(N,) bool."""

    def picture(self, position: int) -> np.ndarray:
        """(H, W) or (H, W, 3) uint8."""

    def pixels(self, positions: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
        """(N, height, width, channels) uint8."""

    def fingerprints(self, positions: np.ndarray) -> np.ndarray:
        """(N,) uint64."""

    def thumbnails(self, positions: np.ndarray) -> np.ndarray:
        """(N, h, w) float32 grays of at most THUMBNAIL a side, not yet standardised."""


@dataclass(frozen=True)
class Scan:
    """What decoding every file of a list once has shown."""

    store: FileStore
    readable: np.ndarray  # (R,) int64 positions into the files
    bad: tuple[BadInput, ...]
    remarks: dict[str, list[str]]  # what was done -> names of the files it was done to


@final
class FileStore:
    """Pictures of a tree. Made by `scan`, which decodes each of them once, completely."""

    def __init__(self, tree: Tree, files: Sequence[File], *, max_pixels: int, least_side: int) -> None:
        self._tree, self._files = tree, files
        self._max_pixels, self._least_side = max_pixels, least_side
        self._sizes = np.zeros((len(files), 2), np.int64)
        self._colour = np.zeros(len(files), bool)
        self._prints = np.zeros(len(files), np.uint64)
        self._thumbnails = np.zeros((len(files), THUMBNAIL, THUMBNAIL), np.uint8)
        self._remembered: list[np.ndarray | None] = [None] * len(files)
        self._room = min(MEMORY, memory_left() // 4)

    def look_at_all(self) -> list[tuple[str, ...] | UnreadableError]:
        """Decode every file once; keep size, colour, fingerprint, thumbnail, and while there is room the picture.

        Gives for each file the remarks on it, or why it cannot be read.
        """
        outcomes: list[tuple[str, ...] | UnreadableError] = [()] * len(self._files)

        def look(_: int, position: int) -> None:
            try:
                picture = self._decode(position)
            except UnreadableError as error:
                outcomes[position] = error
                return
            pixels = picture.pixels
            self._sizes[position] = picture.height, picture.width
            self._colour[position] = pixels.ndim == 3
            self._prints[position] = fingerprint(pixels)
            self._thumbnails[position] = np.rint(_thumbnails(pixels[None], THUMBNAIL, THUMBNAIL)[0])
            if pixels.nbytes <= self._room:
                self._room -= pixels.nbytes
                self._remembered[position] = pixels
            outcomes[position] = picture.remarks

        self._each(look, np.arange(len(self._files)))
        return outcomes

    def sizes(self, positions: np.ndarray) -> np.ndarray:
        return np.take(self._sizes, positions, axis=0)

    def is_colour(self, positions: np.ndarray) -> np.ndarray:
        return np.take(self._colour, positions)

    def picture(self, position: int) -> np.ndarray:
        remembered = self._remembered[position]
        if remembered is not None:
            return remembered
        with decoder_guard(self._max_pixels):
            return self._again(position)

    def pixels(self, positions: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
        out = np.empty((len(positions), height, width, channels), np.uint8)

        def place(i: int, position: int) -> None:
            pixels = self._remembered[position]
            out[i] = resized(self._again(position) if pixels is None else pixels, height, width, channels)

        self._each(place, positions)
        return out

    def fingerprints(self, positions: np.ndarray) -> np.ndarray:
        return np.take(self._prints, positions)

    def thumbnails(self, positions: np.ndarray) -> np.ndarray:
        return np.take(self._thumbnails, positions, axis=0).astype(np.float32)

    def _decode(self, position: int) -> Picture:
        file = self._files[position]
        if file.size > BYTES_A_PIXEL * self._max_pixels + 2**20:
            raise UnreadableError(f"{file.size:,} bytes, more than a picture of max_pixels={self._max_pixels:,} takes")
        try:
            content = self._tree.read(file.name)
        except DataError as error:
            raise UnreadableError(error.what.removesuffix(".")) from None
        return decode(content, file.name, max_pixels=self._max_pixels, least_side=self._least_side)

    def _again(self, position: int) -> np.ndarray:
        """A picture that was readable when it was scanned and did not fit into memory."""
        try:
            pixels = self._decode(position).pixels
        except UnreadableError as error:
            why = error.why
        else:
            if fingerprint(pixels) == self._prints[position]:
                return pixels
            why = "it has changed"
        raise DataError(
            f"a picture was readable when the run began and is not any more: {why}.",
            where=display_name(self._files[position].name),
            fix="start again with the data at rest.",
        )

    def _each(self, work: Callable[[int, int], None], positions: np.ndarray) -> None:
        """`work(i, positions[i])` for every i, in threads where that pays."""
        mean = np.mean([self._files[i].size for i in positions[:: len(positions) // 100 + 1]] or [0])
        threads = min(len(os.sched_getaffinity(0)), 8) if mean >= THREADS_FROM and len(positions) > 1 else 1

        def group(start: int) -> None:
            for i in range(start, min(start + step, len(positions))):
                work(i, int(positions[i]))

        step = 4 if threads > 1 else _GROUP
        starts = range(0, len(positions), step)
        with decoder_guard(self._max_pixels):
            if threads == 1:
                for start in starts:
                    group(start)
                return
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(group, starts):
                    pass


def scan(tree: Tree, files: Sequence[File], *, max_pixels: int, least_side: int) -> Scan:
    """Decode every file once. What cannot be read is in `bad`, by display name and reason."""
    store = FileStore(tree, files, max_pixels=max_pixels, least_side=least_side)
    outcomes = store.look_at_all()
    bad, readable = [], []
    remarks: dict[str, list[str]] = defaultdict(list)
    for position, (file, outcome) in enumerate(zip(files, outcomes, strict=True)):
        if isinstance(outcome, UnreadableError):
            bad.append(BadInput(display_name(file.name), outcome.why))
            continue
        readable.append(position)
        for remark in outcome:
            remarks[remark].append(file.name)
    return Scan(store, np.array(readable, np.int64), tuple(bad), dict(remarks))


@final
class ArrayStore:
    """Pictures in one array."""

    def __init__(self, array: np.ndarray) -> None:
        """`array`: (M, H, W) or (M, H, W, 3) uint8."""
        self._array = array

    def sizes(self, positions: np.ndarray) -> np.ndarray:
        return np.tile(np.array(self._array.shape[1:3], np.int64), (len(positions), 1))

    def is_colour(self, positions: np.ndarray) -> np.ndarray:
        return np.full(len(positions), self._array.ndim == 4)

    def picture(self, position: int) -> np.ndarray:
        picture: np.ndarray = self._array[position]
        return picture

    def pixels(self, positions: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
        same_kind = (channels == 3) == (self._array.ndim == 4)
        if same_kind and self._array.shape[1:3] == (height, width):
            return np.take(self._array, positions, axis=0).reshape(len(positions), height, width, channels)
        out = np.empty((len(positions), height, width, channels), np.uint8)
        for i, position in enumerate(positions):
            out[i] = resized(self._array[position], height, width, channels)
        return out

    def fingerprints(self, positions: np.ndarray) -> np.ndarray:
        return np.take(self._prints, positions)

    @functools.cached_property
    def _prints(self) -> np.ndarray:
        return np.array([fingerprint(picture) for picture in self._array], np.uint64)

    def thumbnails(self, positions: np.ndarray) -> np.ndarray:
        height, width = (min(THUMBNAIL, side) for side in self._array.shape[1:3])
        out = np.empty((len(positions), height, width), np.float32)
        for start in range(0, len(positions), _CHUNK):
            out[start : start + _CHUNK] = _thumbnails(self._array[positions[start : start + _CHUNK]], height, width)
        return out


def fingerprint(pixels: np.ndarray) -> int:
    """64 bits over shape and values."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(pixels).data)
    return int.from_bytes(digest.digest(), "little")


def resized(pixels: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """(height, width, channels) uint8: averaged over the area when shrinking, interpolated linearly when growing."""
    from PIL import Image

    if channels == 1 and pixels.ndim == 3:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))
    if pixels.shape[:2] != (height, width):
        pixels = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    if pixels.ndim == 3:
        return pixels
    return np.broadcast_to(pixels[..., None], (height, width, channels))


def _thumbnails(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, height, width) float32 grays: means over areas. From (N, H, W) or (N, H, W, 3) uint8."""
    if pictures.ndim == 4:
        pictures = pictures @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
    rows, columns = _areas(pictures.shape[1], height), _areas(pictures.shape[2], width)
    thumbnails: np.ndarray = rows @ pictures.astype(np.float32, copy=False) @ columns.T
    return thumbnails


@functools.lru_cache(256)
def _areas(length: int, cells: int) -> np.ndarray:
    """(cells, length) float32: the share of each pixel in each of `cells` equal parts of a line; rows add up to 1."""
    edges = np.arange(cells + 1) * (length / cells)
    starts = np.arange(length)
    shared = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    shares: np.ndarray = np.clip(shared, 0, None) * (cells / length)
    return shares.astype(np.float32)
