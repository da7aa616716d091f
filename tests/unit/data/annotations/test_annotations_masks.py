"""Masks: values as stored, classes from what occurs, sizes that fit, slips that are named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from annotated import Files, encoded, masks, palette_png, png, turned_jpeg

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.masks import read_masks
from gnomon.data.annotations.model import IGNORED
from gnomon.data.trees import FolderTree

SETTINGS = DataSettings(max_bad=0.5)


def _half(one: int, other: int, dtype: type = np.uint8) -> np.ndarray:
    values = np.full((30, 40), one, dtype)
    values[:, 20:] = other
    return values


@pytest.mark.parametrize(
    "encode",
    [
        lambda values: encoded(values, "PNG"),
        palette_png,
        lambda values: encoded(values.astype(np.uint16), "PNG"),
        lambda values: encoded(np.stack([values] * 3, 2), "PNG"),
        lambda values: encoded(values, "BMP"),
    ],
    ids=["gray", "palette", "16 bits", "gray as RGB", "BMP"],
)
def test_values_are_read_as_they_are_stored(encode: Callable[[np.ndarray], bytes]) -> None:
    values = np.arange(1200).reshape(30, 40) % 5
    found = read_masks(Files({"images/a.png": png(), "masks/a.png": encode(values.astype(np.uint8))}), SETTINGS)
    assert found.class_names == ("0", "1", "2", "3", "4")
    assert (found.mask(0) == values).all()


def test_labels_of_16_bits_above_255_are_not_cut_off() -> None:
    values = _half(300, 40_000, np.uint16)
    found = read_masks(Files({"images/a.png": png(), "masks/a.png": encoded(values, "PNG")}), SETTINGS)
    assert found.class_names == ("300", "40000")
    assert (found.mask(0) == (values == 40_000)).all()


def test_values_of_0_128_and_255_are_three_classes() -> None:
    found = read_masks(masks(_half(0, 255), others=(0, 128, 255)), SETTINGS)
    assert found.class_names == ("0", "128", "255")
    assert found.masks is not None
    assert found.masks.ignored is None


def test_255_beside_indices_is_not_judged() -> None:
    found = read_masks(masks(_half(1, 255), others=(0, 1, 7)), SETTINGS)
    assert found.class_names == ("0", "1", "7")  # a gap in the numbers is no class
    assert set(np.unique(found.mask(0))) == {IGNORED, 1}
    assert "255 in masks: pixels that are not judged" in found.notes


def test_a_list_of_names_gives_each_value_its_name() -> None:
    found = read_masks(masks(_half(0, 2), others=(0, 2), more={"classes.txt": "sky\ntree\nroad\n"}), SETTINGS)
    assert found.class_names == ("sky", "tree", "road")
    assert set(np.unique(found.mask(0))) == {0, 2}


def test_a_value_of_a_few_pixels_in_one_mask_is_unknown_and_its_mask_is_left_out() -> None:
    slip = _half(0, 255)
    slip[3, 3] = 77
    found = read_masks(masks(slip, others=(0, 255)), SETTINGS)
    assert found.class_names == ("0", "255")
    assert [(one.where, one.why) for one in found.bad] == [("masks/a.png", "a mask with unknown values: 77")]


def test_a_mask_of_another_size_is_left_out_by_name() -> None:
    found = read_masks(masks(np.zeros((31, 40), np.uint8)), SETTINGS)
    why = "the mask has 40 x 31 pixels, its picture 40 x 30"
    assert [(one.where, one.why) for one in found.bad] == [("masks/a.png", why)]


def test_a_mask_of_the_picture_as_stored_is_turned_with_it() -> None:
    stored = np.zeros((30, 40), np.uint8)
    stored[:10, 0] = 1  # the top of the left column as stored is the right end of the top row when turned clockwise
    found = read_masks(masks(stored, more={"images/a.png": turned_jpeg(40, 30, 6)}), SETTINGS)
    mask = found.mask(0)
    assert mask.shape == (40, 30)
    assert np.argwhere(mask).tolist() == [[0, column] for column in range(20, 30)]


def test_masks_smoothed_or_saved_as_jpeg_are_refused() -> None:
    many = np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8)
    content: dict[str, bytes] = {}
    for number in range(10):
        content |= {f"images/{number}.png": png(), f"masks/{number}.png": encoded(many, "PNG")}
    with pytest.raises(DataError, match=r"masks have 2\d\d different values .*: too many for classes.*nearest value"):
        read_masks(Files(content), SETTINGS)


@pytest.mark.parametrize(
    "names",
    [
        ("a.bmp", "a.png"),
        ("a.jpg", "a_mask.png"),
        ("photos/x/a.jpg", "Masks/x/a.png"),
        ("train/images/a.png", "train/masks/a.png"),
        ("images/train/a.png", "masks/train/a.png"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png"),
        ("images/a.png", "masks/a_mask.png"),
    ],
)
def test_pairs_are_found_by_folder_by_ending_and_by_format(names: tuple[str, str]) -> None:
    picture, mask = names
    kind = "BMP" if picture.endswith("bmp") else "JPEG" if picture.endswith("jpg") else "PNG"
    tree = Files({
        picture: encoded(np.zeros((30, 40, 3), np.uint8), kind), mask: encoded(_half(0, 1), "PNG"),
    })  # fmt: skip
    found = read_masks(tree, SETTINGS)
    assert [(one.file, one.mask) for one in found.pictures] == [(picture, mask)]
    assert found.pictures[0].split == ("train" if "train" in picture else "all")


def test_a_picture_without_a_mask_is_left_out_and_said() -> None:
    found = read_masks(masks(_half(0, 1), more={"images/lonely.png": png()}), SETTINGS)
    assert len(found.pictures) == 10
    assert any("left out: 1 (images/lonely.png)" in note for note in found.notes)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "pictures", "classes"), [("white-blood-cells", 300, ("0", "128", "255")), ("membrane", 30, ("0", "255"))]
)
def test_real_masks_are_read(name: str, pictures: int, classes: tuple[str, ...]) -> None:
    root = Path(os.environ.get("GNOMON_DATA", "../shared/data")) / name
    if not root.is_dir():
        pytest.skip(f"GNOMON_DATA has no {name}")
    found = read_masks(FolderTree(str(root)), DataSettings())
    assert (len(found.pictures), found.class_names, found.bad) == (pictures, classes, ())
