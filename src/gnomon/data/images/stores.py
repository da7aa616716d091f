"""Where pictures are stored: files that are decoded when needed (and cached while they fit), or one array."""

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
from gnomon.data.images.decoding import BYTES_PER_PIXEL, Picture, UnreadableError, decode, decoder_guard
from gnomon.data.images.scaling import on_scale, white_of
from gnomon.data.images.whites import Range, Whites, white_of_file
from gnomon.data.room import memory_left
from gnomon.data.source import File, Tree, display_name

MEMORY = 10**9  # bytes of decoded pictures that a store caches; at most a quarter of what is free
THUMBNAIL = 16  # pixels per side
THREADS_FROM = 16_384  # bytes: decoding smaller files is mostly Python, where a second thread only costs time
_GROUP = 64  # pictures per thread at a time
_CHUNK = 4_096  # pictures of an array converted to floats at a time


class Store(Protocol):
    """M pictures. Positions are int64 arrays into them."""

    whites: Whites
    """What white is in those that are not made of bytes; pictures are shown, and compared, on this scale."""

    @property
    def is_bytes(self) -> bool:
        """Whether every picture has 8 bits per value, so that no scale is needed."""

    def sizes(self, positions: np.ndarray) -> np.ndarray:
        """(N, 2) int64: heights and widths in pixels, upright, as stored."""

    def is_colour(self, positions: np.ndarray) -> np.ndarray:
        """(N,) bool."""

    def picture(self, position: int) -> np.ndarray:
        """(H, W) or (H, W, 3) uint8."""

    def pixels(self, positions: np.ndarray, height: int, width: int, channels: int, whites: Whites) -> np.ndarray:
        """(N, height, width, channels) uint8, on the scale of `whites`. Raises DataError for values far beyond it."""

    def fingerprints(self, positions: np.ndarray) -> np.ndarray:
        """(N,) uint64."""

    def thumbnails(self, positions: np.ndarray) -> np.ndarray:
        """(N, h, w) float32 grays of at most THUMBNAIL per side, not yet standardised."""


@dataclass(frozen=True)
class Scan:
    """What decoding every file of a list once has found."""

    store: FileStore
    readable: np.ndarray  # (R,) int64 positions into the files
    bad: tuple[BadInput, ...]
    remarks: dict[str, list[str]]  # what was done -> names of the files it was done to


@final
class FileStore:
    """Pictures of a tree. Made by `scan`, which decodes each of them once, completely."""

    def __init__(
        self, tree: Tree, files: Sequence[File], *, max_pixels: int, least_side: int, whites: Whites | None = None
    ) -> None:
        self.whites = whites or Whites()
        self._tree, self._files = tree, files
        self._max_pixels, self._least_side = max_pixels, least_side
        self._values: dict[int, tuple[Range, bool]] = {}  # of pictures with more than 8 bits per value; floats or not
        self._sizes = np.zeros((len(files), 2), np.int64)
        self._colour = np.zeros(len(files), bool)
        self._prints = np.zeros(len(files), np.uint64)
        self._thumbnails = np.zeros((len(files), THUMBNAIL, THUMBNAIL), np.uint8)
        self._remembered: list[np.ndarray | None] = [None] * len(files)
        self._room = min(MEMORY, memory_left() // 4)

    @property
    def is_bytes(self) -> bool:
        return not self._values

    def look_at_all(self, trained_on: np.ndarray | None = None) -> list[tuple[str, ...] | UnreadableError]:
        """Decode every file once; keep size, colour, fingerprint, thumbnail and, while it fits, the picture.

        Returns the remarks on each file, or why it cannot be read. Unless white is given, it is determined from the
        files `trained_on` (positions; None: all), and pictures that were decoded on another scale are decoded
        again.
        """
        outcomes: list[tuple[str, ...] | UnreadableError] = [()] * len(self._files)

        def look(_: int, position: int) -> None:
            outcomes[position] = self._look(position)

        self._each(look, np.arange(len(self._files)))
        if self.whites == Whites() and self._values:
            self.whites = self._found_whites(range(len(self._files)) if trained_on is None else trained_on.tolist())
            others = [position for position in self._values if self._is_other_scale(position, Whites())]
            self._each(look, np.array(sorted(others), np.int64))
        return outcomes

    def _look(self, position: int) -> tuple[str, ...] | UnreadableError:
        try:
            picture = self._decode(position, self.whites)
        except UnreadableError as error:
            return error
        pixels = picture.pixels
        if picture.values is not None:
            self._values[position] = picture.values, picture.is_float
        self._sizes[position] = picture.height, picture.width
        self._colour[position] = pixels.ndim == 3
        self._prints[position] = fingerprint(pixels)
        self._thumbnails[position] = np.rint(_thumbnails(pixels[None], THUMBNAIL, THUMBNAIL)[0])
        if self._remembered[position] is not None:
            self._remembered[position] = pixels
        elif pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._remembered[position] = pixels
        return picture.remarks

    def _found_whites(self, trained_on: Sequence[int]) -> Whites:
        """From the training pictures: one value for all integers, one for all floats."""
        found: dict[bool, Range] = {}
        for position in trained_on:
            if position in self._values:
                values, is_float = self._values[position]
                found[is_float] = found.get(is_float, Range()) | values
        return Whites(*(found[is_float].white() if is_float in found else None for is_float in (False, True)))

    def _is_other_scale(self, position: int, whites: Whites) -> bool:
        """Whether a picture looks different with the store's own whites than with `whites`."""
        if position not in self._values or whites == self.whites:
            return False
        values, is_float = self._values[position]
        return white_of_file(values, whites, is_float=is_float) != white_of_file(values, self.whites, is_float=is_float)

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

    def pixels(self, positions: np.ndarray, height: int, width: int, channels: int, whites: Whites) -> np.ndarray:
        out = np.empty((len(positions), height, width, channels), np.uint8)

        def place(i: int, position: int) -> None:
            pixels = self._remembered[position]
            if self._is_other_scale(position, whites):
                pixels = self._rescaled(position, whites)
            out[i] = resized(self._again(position) if pixels is None else pixels, height, width, channels)

        self._each(place, positions)
        return out

    def fingerprints(self, positions: np.ndarray) -> np.ndarray:
        return np.take(self._prints, positions)

    def thumbnails(self, positions: np.ndarray) -> np.ndarray:
        return np.take(self._thumbnails, positions, axis=0).astype(np.float32)

    def _decode(self, position: int, whites: Whites) -> Picture:
        file = self._files[position]
        if file.size > BYTES_PER_PIXEL * self._max_pixels + 2**20:
            raise UnreadableError(f"{file.size:,} bytes, more than a picture of max_pixels={self._max_pixels:,} needs")
        try:
            content = self._tree.read(file.name)
        except DataError as error:
            raise UnreadableError(error.what.removesuffix(".")) from None
        return decode(content, file.name, max_pixels=self._max_pixels, least_side=self._least_side, whites=whites)

    def _rescaled(self, position: int, whites: Whites) -> np.ndarray:
        """A picture on the scale of another training set. Raises DataError where its values are far beyond it."""
        try:
            return self._decode(position, whites).pixels
        except UnreadableError as error:
            raise DataError(
                f"{error.why}.",
                where=display_name(self._files[position].name),
                fix="give pictures on the scale of the training pictures.",
            ) from None

    def _again(self, position: int) -> np.ndarray:
        """A picture that could be read when it was scanned and did not fit into memory."""
        try:
            pixels = self._decode(position, self.whites).pixels
        except UnreadableError as error:
            why = error.why
        else:
            if fingerprint(pixels) == self._prints[position]:
                return pixels
            why = "it has changed"
        raise DataError(
            f"a picture could be read when the run began but no longer: {why}.",
            where=display_name(self._files[position].name),
            fix="start again, and leave the data unchanged meanwhile.",
        )

    def _each(self, work: Callable[[int, int], None], positions: np.ndarray) -> None:
        """`work(i, positions[i])` for every i, in threads where it is worth it."""
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


def scan(
    tree: Tree, files: Sequence[File], *, max_pixels: int, least_side: int, whites: Whites | None = None,
    trained_on: np.ndarray | None = None,
) -> Scan:  # fmt: skip
    """Decode every file once. What cannot be read is in `bad`, by display name and reason.

    If white is not known from training, the files `trained_on` (positions; None: all) determine it.
    """
    store = FileStore(tree, files, max_pixels=max_pixels, least_side=least_side, whites=whites)
    outcomes = store.look_at_all(trained_on)
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

    def __init__(self, array: np.ndarray, given: np.ndarray, whites: Whites) -> None:
        """`array`: (M, H, W) or (M, H, W, 3) uint8, made from the values `given` on the scale of `whites`."""
        self.whites = whites
        self._array, self._given = array, given

    @property
    def is_bytes(self) -> bool:
        return self._given.dtype == np.uint8

    def sizes(self, positions: np.ndarray) -> np.ndarray:
        return np.tile(np.array(self._array.shape[1:3], np.int64), (len(positions), 1))

    def is_colour(self, positions: np.ndarray) -> np.ndarray:
        return np.full(len(positions), self._array.ndim == 4)

    def picture(self, position: int) -> np.ndarray:
        picture: np.ndarray = self._array[position]
        return picture

    def pixels(self, positions: np.ndarray, height: int, width: int, channels: int, whites: Whites) -> np.ndarray:
        array = self._array
        if white_of(self._given, whites) != white_of(self._given, self.whites):
            array, positions = on_scale(self._given[positions], whites), np.arange(len(positions))
        same_kind = (channels == 3) == (array.ndim == 4)
        if same_kind and array.shape[1:3] == (height, width):
            return np.take(array, positions, axis=0).reshape(len(positions), height, width, channels)
        out = np.empty((len(positions), height, width, channels), np.uint8)
        for i, position in enumerate(positions):
            out[i] = resized(array[position], height, width, channels)
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
    """64 bits from shape and values."""
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
    """(cells, length) float32: fraction of each pixel in each of `cells` equal parts of a line; rows add up to 1."""
    edges = np.arange(cells + 1) * (length / cells)
    starts = np.arange(length)
    shared = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    shares: np.ndarray = np.clip(shared, 0, None) * (cells / length)
    return shares.astype(np.float32)
