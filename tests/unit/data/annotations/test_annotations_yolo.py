"""YOLO: shares of the picture, data.yaml, splits, outlines and points."""

from __future__ import annotations

import re

import numpy as np
import pytest
from annotated import Files, png, yolo

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.model import Polygons
from gnomon.data.annotations.yolo import read_yolo

SETTINGS = DataSettings(max_bad=0.5)


def test_shares_become_pixels_and_an_empty_file_is_a_negative() -> None:
    found = read_yolo(yolo("1 0.5 0.5 0.5 1\n\n0 0.25 0.5 0.5 0.2\n"), SETTINGS)
    a, b = found.objects(0)
    assert (a.label, a.box, b.label) == (1, (10, 0, 30, 30), 0)
    assert b.box == pytest.approx((0, 12, 20, 18))
    assert read_yolo(yolo(""), SETTINGS).objects(0) == []


def test_a_picture_without_a_file_of_labels_is_left_out_and_said() -> None:
    found = read_yolo(yolo("", more={"images/z.png": png()}), SETTINGS)
    assert len(found.pictures) == 10
    assert "pictures without a file of labels, left out: 1 (images/z.png)" in found.notes


def test_an_outline_is_read_and_its_box_is_around_it() -> None:
    found = read_yolo(yolo("0 0.1 0.1 0.5 0.1 0.5 0.9\n"), SETTINGS)
    thing = found.objects(0)[0]
    assert isinstance(thing.details.outline, Polygons)
    assert np.allclose(thing.details.outline.parts[0], [[4, 3], [20, 3], [20, 27]])
    assert thing.box == pytest.approx((4, 3, 20, 27))


def test_points_are_read_as_kpt_shape_says() -> None:
    yaml = "train: images\nnames: {0: cell}\nkpt_shape: [2, 3]\n"
    found = read_yolo(yolo("0 0.5 0.5 0.5 0.5 0.25 0.5 2 0 0 0\n", yaml=yaml), SETTINGS)
    points = found.objects(0)[0].details.points
    assert points is not None
    assert points.tolist() == [[10, 15, 2], [0, 0, 0]]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("[no, 007, 1e3]", ("no", "007", "1e3")),
        ("{0: a, 2: b}", ("a", "b")),
        ("\n- a\n- 'b c'", ("a", "b c")),
        ("\n  0: a\n  5: b", ("a", "b")),
    ],
)
def test_names_are_texts_in_any_form_and_numbers_may_have_gaps(names: str, expected: tuple[str, ...]) -> None:
    found = read_yolo(yolo("0 .5 .5 .5 .5", yaml=f"train: images\nnames: {names}\n"), SETTINGS)
    assert found.class_names == expected


@pytest.mark.parametrize("train", ["images/train", "../images/train", "/home/somebody/set/images/train", "train.txt"])
@pytest.mark.parametrize("path", ["", "path: /datasets/cells\n", "path: .\n"])
def test_splits_are_found_wherever_the_folder_was_moved(train: str, path: str) -> None:
    tree = Files({
        "data.yaml": f"{path}train: {train}\nval: images/val\nnames: [a]\n", "images/train/1.png": png(),
        "images/val/2.png": png(seed=1), "labels/train/1.txt": "0 .5 .5 .5 .5", "labels/val/2.txt": "",
        "train.txt": "./images/train/1.png\n",
    })  # fmt: skip
    found = read_yolo(tree, SETTINGS)
    assert [(one.file, one.split) for one in found.pictures] == [
        ("images/train/1.png", "train"),
        ("images/val/2.png", "dev"),
    ]


@pytest.mark.parametrize(
    ("labels", "yaml", "message"),
    [
        ("2 .5 .5 .5 .5", None, "labels/a.txt: line 1: class 2 is not one of data.yaml (0, 1)"),
        ("\n-1 .5 .5 .5 .5", None, "line 2: class -1 is not one of data.yaml"),
        ("0.5 .5 .5 .5 .5", None, "class 0.5 is not one"),
        ("cell .5 .5 .5 .5", None, "class cell is not one"),
        ("1 .5 .5 .5 .5", "train: images\nnames: {0: a, 2: b}\n", "class 1 is not one of data.yaml (0, 2)"),
        ("", "train: images\nnc: 3\nnames: [a, b]\n", "nc is 3, and 2 classes are named: a, b"),
        ("", "train: images\nnames: [a, a]\n", "class a is named twice"),
        ("", "train: images\nnames: 7\n", "names is not a list of classes"),
        ("", "train: [images\nnames: [a]\n", "it cannot be read as YAML"),
        ("", "names: [a]\n", "it does not say where train is"),
        ("", "train: elsewhere\nnames: [a]\n", "train is elsewhere, which is not in the folder"),
        ("", "train: images\nval: images\nnames: [a]\n", "images/a.png is in train and in dev"),
        ("", "train: images\nnames: [a]\nkpt_shape: [0, 9]\n", "kpt_shape is not a count and 2 or 3"),
        ("", "train: images\nnames: " + "[" * 5000, "it cannot be read as YAML"),
    ],
)
def test_what_does_not_fit_data_yaml_is_one_error_and_never_skipped(
    labels: str, yaml: str | None, message: str
) -> None:
    tree = yolo(labels) if yaml is None else yolo(labels, yaml=yaml)
    with pytest.raises(DataError, match=re.escape(message)):
        read_yolo(tree, SETTINGS)
