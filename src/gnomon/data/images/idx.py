"""IDX files, the format of MNIST: a header of type and shape, then the values; plain or gzipped."""

from __future__ import annotations

import gzip
import io
import math
import re
import struct
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl

from gnomon.core.errors import ArtefactError, DataError
from gnomon.core.example import Reading
from gnomon.data.images.arrays import numbered
from gnomon.data.images.examples import (
    ImageExamples,
    index_of,
    same_picture_twice,
)
from gnomon.data.images.scaling import as_bytes
from gnomon.data.images.stores import ArrayStore
from gnomon.data.images.whites import Whites
from gnomon.data.labels import check_classes, check_divided, class_names_of, label_type
from gnomon.data.source import Tree, counted, display_name, first_names, listed

_NAME = re.compile(r"(?:.*/)?(?P<stem>[^/]*?)(?P<kind>images|labels)[.-]idx(?P<dims>\d)-ubyte(?P<packed>\.gz)?", re.I)
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_BYTES = 8 * 10**9  # of one file, unpacked
MOST_RATIO = 200  # unpacked to packed, from RATIO_FROM bytes on: a gzip file of zeros reaches 1,000
RATIO_FROM = 2 * 10**8


@dataclass(frozen=True, slots=True)
class _Pair:
    """The files of one part, by their names in the tree."""

    split: str  # "train", "test" or "all"
    images: str
    labels: str


def looks_like_idx(tree: Tree) -> tuple[float, str]:
    """How certain it is (0 .. 1), from names alone, that this is IDX pictures with labels; and why."""
    found = _by_stem(tree)
    complete = [stem for stem, kinds in found.items() if {"images", "labels"} <= set(kinds)]
    if complete:
        return 0.97, f"IDX files: {', '.join(display_name(stem).strip('-._') or 'one pair' for stem in complete)}"
    return (0.3, "IDX files, but not both pictures and labels") if found else (0.0, "no IDX files")


def read_idx(tree: Tree) -> Reading:
    """Pictures and labels; train-* with t10k-* or test-* has splits of its own, a single pair has none.

    Raises DataError naming the file whose header does not fit its size, or the two files whose counts differ.
    """
    found = _by_stem(tree)
    pairs = [_pair(tree, stem, kinds) for stem, kinds in found.items()]
    notes = [*tree.notes]
    if len(pairs) == 1:
        pairs = [_Pair("all", pairs[0].images, pairs[0].labels)]
    twice = [split for split, count in Counter(pair.split for pair in pairs).items() if count > 1]
    if twice:
        raise DataError(
            f"several pairs of IDX files for {twice[0]}: {first_names([pair.images for pair in pairs], 5)}.",
            where=tree.origin,
            fix="keep one set per folder.",
        )
    used = {name for pair in pairs for name in (pair.images, pair.labels)}
    others = [file.name for file in tree.files if file.name not in used]
    if others:
        notes.append(listed("other files, ignored", others))
    splits: dict[str, ImageExamples] = {}
    for pair in sorted(pairs, key=lambda pair: pair.split)[::-1]:  # train first: it determines what white is
        splits[pair.split] = _examples(tree, pair, notes, splits["train"].whites if "train" in splits else None)
    check_divided(splits, tree.origin)
    trained_on = splits.get("all") or splits["train"]
    notes += check_classes(dict(Counter(trained_on.index["label"].to_list())), tree.origin)
    for examples in splits.values():
        notes += same_picture_twice(examples)
    return Reading(splits, tuple(notes))


def read_idx_pictures(tree: Tree, whites: Whites) -> Reading:
    """Every picture on the scale of the training set, under the key "all"; files of labels are not read.

    Ids are those that `read_idx` gives. Raises DataError where there are no pictures, or of two sizes.
    """
    found = {stem: kinds["images"] for stem, kinds in _by_stem(tree).items() if "images" in kinds}
    if not found:
        raise DataError(
            "there are labels but no pictures.", where=tree.origin, fix="give the file NAME-images-idx3-ubyte."
        )
    order = sorted(found, key=lambda stem: (_split_of(stem) != "train", stem))
    parts = [as_bytes(read_idx_file(tree, found[stem]), display_name(found[stem]), whites) for stem in order]
    if len({part.pixels.shape[1:] for part in parts}) > 1:
        sizes = " and ".join(f"{part.pixels.shape[1]}x{part.pixels.shape[2]}" for part in parts)
        what = f"the pictures are of different sizes: {sizes}."
        raise DataError(what, where=tree.origin, fix="predict them separately.")
    splits = [_split_of(stem) if len(order) > 1 else "all" for stem in order]
    ids = [numbered(len(part.pixels), split) for part, split in zip(parts, splits, strict=True)]
    pixels = np.concatenate([part.pixels for part in parts]) if len(parts) > 1 else parts[0].pixels
    table = index_of(pl.concat(ids), None)
    examples = ImageExamples.of(ArrayStore(pixels, pixels, whites), np.arange(len(pixels)), table)
    return Reading({"all": examples}, (*tree.notes, *dict.fromkeys(note for part in parts for note in part.notes)))


def _split_of(stem: str) -> str:
    lower = stem.lower()
    return "test" if "t10k" in lower or "test" in lower else "train"


def _by_stem(tree: Tree) -> dict[str, dict[str, str]]:
    """{"t10k-": {"images": name, "labels": name}}; if a file is there plain and gzipped, the plain one."""
    found: dict[str, dict[str, str]] = {}
    for file in tree.files:
        match = _NAME.fullmatch(file.name)
        if match and int(match["dims"]) == (1 if match["kind"].lower() == "labels" else 3):
            kinds = found.setdefault(match["stem"], {})
            if not match["packed"] or match["kind"].lower() not in kinds:
                kinds[match["kind"].lower()] = file.name
    return found


def _pair(tree: Tree, stem: str, kinds: dict[str, str]) -> _Pair:
    for kind, other in (("images", "labels"), ("labels", "images")):
        if kind not in kinds:
            raise DataError(
                f"{display_name(kinds[other])} has no {kind} next to it.",
                where=tree.origin,
                fix=f"put the file {display_name(stem)}{kind}-idx{1 if kind == 'labels' else 3}-ubyte into the folder.",
            )
    return _Pair(_split_of(stem), kinds["images"], kinds["labels"])


def _examples(tree: Tree, pair: _Pair, notes: list[str], whites: Whites | None) -> ImageExamples:
    images, labels = read_idx_file(tree, pair.images), read_idx_file(tree, pair.labels)
    if len(images) != len(labels):
        raise DataError(
            f"{counted(len(images), 'picture')} in {display_name(pair.images)}, but {counted(len(labels), 'label')} in "
            f"{display_name(pair.labels)}.",
            where=tree.origin,
            fix="get the pair again: the two belong to different sets.",
        )
    found = as_bytes(images, display_name(pair.images), whites)
    notes += found.notes
    classes = class_names_of(labels, (), len(images), "picture", display_name(pair.labels))
    table = index_of(numbered(len(images), pair.split), classes)
    pictures = ArrayStore(found.pixels, images, found.whites)
    return ImageExamples.of(pictures, np.arange(len(images)), table, label_type(labels))


def read_idx_file(tree: Tree, name: str) -> np.ndarray:
    """One file as an array of the shape in its header. Raises DataError if header and size do not agree."""
    where = f"{tree.origin}: {display_name(name)}"
    size = next(file.size for file in tree.files if file.name == name)
    if size > MOST_BYTES:
        raise DataError(f"{size:,} bytes, more than {MOST_BYTES:,}.", where=where, fix="split the file.")
    content = tree.read(name)
    if content.startswith(b"\x1f\x8b"):
        content = _unpacked(content, where)
    header = _header(content[:64], where)
    expected = header.offset + header.bytes
    if len(content) != expected:
        raise DataError(
            f"the header promises {'x'.join(map(str, header.shape))} values ({expected:,} bytes), "
            f"but there are {len(content):,}.",
            where=where,
            fix="get the file again: it is truncated or damaged.",
        )
    array = np.frombuffer(content, header.dtype, offset=header.offset).reshape(header.shape)
    return array.view(np.uint8) if header.dtype == ">u1" else array.astype(np.dtype(header.dtype).newbyteorder("="))


@dataclass(frozen=True, slots=True)
class _Header:
    dtype: str
    shape: tuple[int, ...]

    @property
    def offset(self) -> int:
        return 4 + 4 * len(self.shape)

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def _header(start: bytes, where: str) -> _Header:
    """Two zeros, the type, the number of dims, then each dim as a big-endian 32-bit number."""
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= 4:
        raise DataError(
            "this is not an IDX file: its first four bytes are wrong.", where=where, fix="make or download it again."
        )
    dims = start[3]
    if len(start) < 4 + 4 * dims:
        raise DataError("the IDX header is truncated.", where=where, fix="get the file again.")
    shape = struct.unpack_from(f">{dims}I", start, 4)
    if 0 in shape:  # also keeps absurd sizes beside it from being taken for an array of nothing
        what = f"the header promises {'x'.join(map(str, shape))} values: nothing."
        raise DataError(what, where=where, fix="get the file again: it is empty or damaged.")
    return _Header(_TYPES[start[2]], shape)


def _unpacked(content: bytes, where: str) -> bytes:
    """Read only what the header promises and one byte more, so that no file unpacks without end."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            start = file.read(64)
            header = _header(start, where)
            promised = header.offset + header.bytes
            if promised > MOST_BYTES or (promised > RATIO_FROM and promised > MOST_RATIO * len(content)):
                raise ArtefactError(
                    f"refused: {len(content):,} bytes would unpack to {promised:,}.",
                    where=where,
                    fix="unpack it yourself, check it, and give the plain file.",
                )
            rest = file.read(max(0, promised - len(start)) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"the gzip file is truncated or damaged ({error}).", where=where, fix="get the file again."
        ) from None
    return start + rest
