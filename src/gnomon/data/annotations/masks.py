"""Pictures with masks: a file that gives each pixel of a picture a value, beside it or in a folder of its own.

Masks are read as they are stored: palette indices, values of 1, 8 or 16 bits; nothing is scaled.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.model import Annotations, Collected, Findings, MaskValues, Picture
from gnomon.data.annotations.pictures import MASK_FOLDERS, Photos, Size, check_left_out, split_of
from gnomon.data.images.decoding import (
    BYTES_PER_PIXEL,
    TURNED,
    UnreadableError,
    decoder_guard,
    is_picture_name,
    stored_values,
    upright,
)
from gnomon.data.source import Tree, counted, display_name, first_names, listed

PICTURE_FOLDERS = frozenset(
    {"image", "images", "img", "imgs", "jpegimages", "pictures", "photos", "leftimg8bit", "input", "inputs"}
)
EXACT = ("png", "bmp", "tif", "tiff", "gif", "pgm")  # formats that keep values, the likeliest for masks first
ENDINGS = ("_mask", "-mask", "_masks", "_label", "_labels", "_seg", "_gt", "_segmentation")
MOST_CLASSES = 256
SMALL = 64  # values below this are indices of classes; 255 beside several of them is not judged, as in Pascal VOC
RARE = 0.001  # a share of pixels below which a value of few masks is a slip, not a class
LISTS = ("classes.txt", "class_names.txt", "labels.txt", "labelmap.txt")


def looks_like_masks(tree: Tree) -> tuple[float, str]:
    """How certain it is (0 .. 1), from names alone, that these are pictures with masks; and why."""
    names = [file.name for file in tree.files if is_picture_name(file.name)]
    pairs = _paired(names)
    if not pairs:
        return 0.0, "no pairs of picture and mask"
    matched = 2 * len(pairs)
    return 0.9 * min(1.0, matched / len(names)), f"{counted(len(pairs), 'picture')} with a mask of the same name"


def read_masks(tree: Tree, settings: DataSettings) -> Annotations:
    """Every picture that has a mask, in the order of their names; masks are read when asked for.

    All masks are read once to learn their values. Raises DataError where these are no classes, or too much is bad.
    """
    findings, photos = Findings(), Photos(tree, settings)
    pairs = _paired(list(photos.files))
    sizes: dict[str, Size] = {}
    seen: dict[str, Mapping[int, int]] = {}  # mask -> its values and their pixels
    for name in sorted(pairs):
        size, values = photos.size(name), None
        if isinstance(size, str):
            findings.leave_out_picture(display_name(name), size)
            continue
        try:
            values = _upright_values(tree, pairs[name], size, settings)
        except UnreadableError as error:
            findings.leave_out_picture(display_name(pairs[name]), error.why)
            continue
        sizes[name] = size
        found, counts = np.unique(values, return_counts=True)
        seen[name] = dict(zip(found.tolist(), counts.tolist(), strict=True))
    meaning, class_names = _meaning(tree, seen, findings)
    known = {*meaning.values, meaning.ignored}
    collected = Collected()
    for name, size in sizes.items():
        unknown = sorted(set(seen[name]) - known)
        if unknown:
            shown = ", ".join(map(str, unknown[:5]))
            findings.leave_out_picture(display_name(pairs[name]), f"a mask with unknown values: {shown}")
        else:
            collected.close(Picture(name, size[0], size[1], split_of(name), size[2], pairs[name]))
    bare = sorted(set(photos.files) - set(pairs) - set(pairs.values()))
    if bare:
        findings.notes.append(listed("pictures without a mask, or masks without a picture, left out", bare))
    check_left_out(findings, len(collected.pictures), 0, tree.origin, settings)
    read_mask = _reader(tree, meaning, settings)
    return collected.finish("masks", tree, class_names, findings, masks=meaning, read_mask=read_mask)


def _reader(tree: Tree, meaning: MaskValues, settings: DataSettings) -> Callable[[Picture], np.ndarray]:
    def read(picture: Picture) -> np.ndarray:
        assert picture.mask is not None
        size = (picture.width, picture.height, picture.orientation)
        return meaning.decode(_upright_values(tree, picture.mask, size, settings))

    return read


def _upright_values(tree: Tree, mask: str, size: Size, settings: DataSettings) -> np.ndarray:
    """(H, W) values, turned as their picture is. Raises UnreadableError."""
    width, height, orientation = size
    content = tree.read(mask)
    if len(content) > BYTES_PER_PIXEL * settings.max_pixels:
        raise UnreadableError(f"{len(content):,} bytes, more than max_pixels={settings.max_pixels:,} allows")
    with decoder_guard(settings.max_pixels):
        values = stored_values(content, mask, max_pixels=settings.max_pixels)
    if values.ndim == 3:
        colours = values[..., :3] if values.shape[2] in (3, 4) else values[..., :1]
        if (colours != colours[..., :1]).any():
            raise UnreadableError("a mask in colours: their classes are not known (use gray values or a palette)")
        values = colours[..., 0]
    if values.shape == (height, width):
        return values
    if orientation >= TURNED and values.shape == (width, height):
        return upright(values, orientation)
    raise UnreadableError(
        f"the mask has {values.shape[1]:,} x {values.shape[0]:,} pixels, its picture {width:,} x {height:,}"
    )


# --- which file is the mask of which picture ------------------------------------------------------------------------
def _paired(names: Sequence[str]) -> Mapping[str, str]:
    """{picture: mask}: by folders named for them, by endings such as _mask, or by format."""
    by_folder = _by_folder(names)
    return by_folder or _by_ending(names) or _by_format(names)


def _by_folder(names: Sequence[str]) -> Mapping[str, str]:
    masks: dict[str, str] = {}
    pictures: dict[str, str] = {}
    for name in names:
        *folders, leaf = name.split("/")
        kinds = [_kind(folder) for folder in folders]
        if "mask" not in kinds and "picture" not in kinds:
            continue
        key = "/".join([*(part for part, kind in zip(folders, kinds, strict=True) if not kind), _bare(leaf)])
        (masks if "mask" in kinds else pictures)[key] = name
    return {name: masks[key] for key, name in pictures.items() if key in masks}


def _kind(folder: str) -> str:
    lower = folder.lower()
    return "mask" if lower in MASK_FOLDERS else "picture" if lower in PICTURE_FOLDERS else ""


def _bare(leaf: str) -> str:
    """The name without its suffix and without what only names of masks, or of pictures, have at the end."""
    stem = leaf.rpartition(".")[0]
    return next((stem.removesuffix(ending) for ending in ENDINGS if stem.lower().endswith(ending)), stem)


def _by_ending(names: Sequence[str]) -> Mapping[str, str]:
    stems = {name.rpartition(".")[0]: name for name in names}
    pairs = {}
    for stem, name in stems.items():
        folder, _, leaf = stem.rpartition("/")
        plain = _bare(f"{leaf}.")
        whole = f"{folder}/{plain}" if folder else plain
        if plain != leaf and whole in stems:
            pairs[stems[whole]] = name
    return pairs


def _by_format(names: Sequence[str]) -> Mapping[str, str]:
    """Two files of one name and two formats: the mask is the one that keeps values, PNG before BMP."""
    together: dict[str, list[str]] = defaultdict(list)
    for name in names:
        together[name.rpartition(".")[0]].append(name)
    pairs = {}
    for both in together.values():
        if len(both) == 2:
            ranked = sorted(both, key=_rank)
            if _rank(ranked[0]) < len(EXACT):
                pairs[ranked[1]] = ranked[0]
    return pairs


def _rank(name: str) -> int:
    suffix = name.rpartition(".")[2].lower()
    return EXACT.index(suffix) if suffix in EXACT else len(EXACT)


# --- what the values mean -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Use:
    """How much one value is used."""

    masks: int
    pixels: int


def _meaning(
    tree: Tree, seen: Mapping[str, Mapping[int, int]], findings: Findings
) -> tuple[MaskValues, tuple[str, ...]]:
    masks: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    for counts in seen.values():
        masks.update(counts.keys())
        pixels.update(counts)
    names = _listed_names(tree)
    uses = {value: _Use(masks[value], pixels[value]) for value in sorted(masks)}
    values = _classes(uses, len(seen), names, tree.origin)
    ignored = None
    others = [value for value in values if value != 255]
    if 255 in values and len(others) >= 2 and max(others) < SMALL and len(names or ()) < len(values):
        ignored, values = 255, others
        findings.notes.append("255 in masks: pixels that are not judged")
    if not values:
        return MaskValues((0,), ignored), ("0",)
    if names is None:
        given = tuple(map(str, values))
    elif len(names) == len(values):
        given = tuple(names)
    else:  # a line for each value from 0, of which some may not occur
        values, given = list(range(len(names))), tuple(names)
    findings.notes.append(f"values of masks: {', '.join(map(str, values[:20]))}")
    return MaskValues(tuple(values), ignored), given


def _classes(uses: Mapping[int, _Use], total: int, names: Sequence[str] | None, origin: str) -> list[int]:
    """The values that are classes. What few pixels of few masks have is a slip, for which its mask is left out."""
    if names is not None and set(uses) - {255} <= set(range(len(names))):
        return sorted(uses)
    all_pixels = sum(use.pixels for use in uses.values())
    rare = {
        value
        for value, use in uses.items()
        if use.pixels < RARE * all_pixels and use.masks <= max(1, total // 100) and total > 4
    }
    kept = sorted(set(uses) - rare)
    if names is not None and len(kept) != len(names) and kept and (max(set(kept) - {255}, default=0) >= len(names)):
        raise DataError(
            f"masks have {counted(len(kept), 'value')} ({_few(kept)}), and {len(names)} classes are listed: "
            f"{first_names(list(names))}.",
            where=origin, fix="give one line per class, in the order of the values.",
        )  # fmt: skip
    if len(kept) > MOST_CLASSES or (len(kept) > SMALL and all(use.masks > total // 2 for use in uses.values())):
        raise DataError(
            f"masks have {len(kept):,} different values ({_few(kept)}): too many for classes.",
            where=origin,
            fix="make masks whose values are classes, resized to the nearest value and stored as PNG.",
        )
    return kept


def _few(values: Iterable[int]) -> str:
    shown = [*values]
    return ", ".join(map(str, shown[:6])) + (" ..." if len(shown) > 6 else "")


def _listed_names(tree: Tree) -> list[str] | None:
    """Names of classes, one per line, of a list beside the masks; None where there is none."""
    name = next((file.name for file in tree.files if file.name.rpartition("/")[2].lower() in LISTS), None)
    if name is None:
        return None
    lines = [line.strip() for line in tree.read(name).decode("utf-8", "surrogateescape").splitlines()]
    names = [display_name(line) for line in lines if line]
    twice = [one for one, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"class {first_names(twice)} is listed twice.", where=display_name(name), fix="list each class once."
        )
    return names or None
