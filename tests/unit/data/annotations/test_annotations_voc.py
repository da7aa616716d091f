"""Pascal VOC: what is read, what is repaired, and what is left out with its file and object."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from annotated import Files, png, turned_jpeg, voc, voc_object, voc_xml

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.voc import read_voc
from gnomon.data.trees import FolderTree

SETTINGS = DataSettings(max_bad=0.5)


def test_corners_count_from_one_and_are_inclusive() -> None:
    found = read_voc(voc(voc_object("cell", (1, 1, 40, 30)), voc_object("dot", (7, 8, 7, 8))), SETTINGS)
    whole, dot = found.objects(0)
    assert whole.box == (0, 0, 40, 30)  # the whole picture of 40 x 30
    assert dot.box == (6, 7, 7, 8)  # one pixel
    assert not found.repaired
    assert not found.bad


def test_flags_are_kept() -> None:
    found = read_voc(
        voc(voc_object("cell", (1, 1, 9, 9), difficult=1), voc_object("cell", (1, 1, 9, 9), 0, 1)), SETTINGS
    )
    one, two = found.objects(0)
    assert (one.is_difficult, one.is_truncated, two.is_difficult, two.is_truncated) == (True, False, False, True)


def test_a_picture_without_boxes_is_a_negative_and_one_without_a_file_is_left_out() -> None:
    found = read_voc(voc(more={"JPEGImages/unknown.png": png(seed=77)}), SETTINGS)
    assert [picture.file for picture in found.pictures].count("JPEGImages/a.png") == 1
    assert found.objects(0) == []
    assert "JPEGImages/unknown.png" not in [picture.file for picture in found.pictures]
    assert "pictures without an annotation file, left out: 1 (JPEGImages/unknown.png)" in found.notes


def test_lists_divide_and_a_picture_in_two_of_them_is_an_error() -> None:
    lists = {
        "ImageSets/Main/train.txt": "a\nb0\nb1\n",
        "ImageSets/Main/val.txt": "b2\n",
        "ImageSets/Main/test.txt": "b3\n",
    }
    found = read_voc(voc(more=lists), SETTINGS)
    assert Counter(picture.split for picture in found.pictures) == {"train": 3, "dev": 1, "test": 1}
    assert any(note.startswith("pictures that are in none of the lists, left out: 5") for note in found.notes)
    lists["ImageSets/Main/test.txt"] = "b3\na\n"
    with pytest.raises(DataError, match=r"a is in two lists: ImageSets/Main/test.txt line 2 and ImageSets/Main/train"):
        read_voc(voc(more=lists), SETTINGS)


def test_lists_of_one_class_and_of_train_and_val_together_are_not_splits_of_their_own() -> None:
    lists = {
        "ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": "b0\n", "ImageSets/Main/trainval.txt": "a\nb0\n",
        "ImageSets/Main/cell_train.txt": "a 1\nb5 -1\n",
    }  # fmt: skip
    found = read_voc(voc(more=lists), SETTINGS)
    assert Counter(picture.split for picture in found.pictures) == {"train": 1, "dev": 1}


@pytest.mark.parametrize(("orientation", "box"), [
    # drawn on paper: the stored picture is 40 wide and 30 high, the box covers columns 2 to 9 and rows 4 to 15 of it
    (5, (4, 2, 16, 10)), (6, (14, 2, 26, 10)), (7, (14, 30, 26, 38)), (8, (4, 30, 16, 38)),
])  # fmt: skip
def test_boxes_in_the_picture_as_stored_are_turned_upright_with_it(
    orientation: int, box: tuple[float, float, float, float]
) -> None:
    more = {"JPEGImages/a.png": turned_jpeg(40, 30, orientation)}
    found = read_voc(voc(voc_object("cell", (3, 5, 10, 16)), more=more), SETTINGS)
    picture, one = found.pictures[0], found.objects(0)[0]
    assert (picture.width, picture.height, picture.orientation) == (30, 40, orientation)
    assert one.box == box
    assert dict(found.repaired)["places in the picture as stored: turned upright as EXIF says"] == (
        "Annotations/a.xml",
    )


def test_boxes_in_the_upright_picture_stay_where_they_are() -> None:
    more = {"JPEGImages/a.png": turned_jpeg(40, 30, 6)}
    found = read_voc(voc(voc_object("cell", (3, 5, 10, 16)), width=30, height=40, more=more), SETTINGS)
    assert found.objects(0)[0].box == (2, 4, 10, 16)
    assert not found.repaired


def test_classes_are_sorted_names_and_every_number_fits() -> None:
    found = read_voc(voc(voc_object("zebra", (1, 1, 9, 9)), voc_object("ant", (1, 1, 9, 9))), SETTINGS)
    assert found.class_names == ("ant", "cell", "zebra")
    assert [found.class_names[one.label] for one in found.objects(0)] == ["zebra", "ant"]


def test_parts_of_an_object_are_not_objects() -> None:
    person = voc_object("person", (1, 1, 30, 30)).replace(
        "</object>", "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
    )
    assert len(read_voc(voc(person), SETTINGS).objects(0)) == 1


def test_too_many_bad_pictures_stop_it_with_the_first_of_them() -> None:
    content = {"JPEGImages/a.png": png(), "Annotations/a.xml": "<annotation>", "JPEGImages/b.png": png(),
               "Annotations/b.xml": voc_xml("b.png")}  # fmt: skip
    with pytest.raises(
        DataError, match=r"1 of 2 pictures cannot be used \(50.0%; .*Annotations/a.xml \(not well-formed"
    ):
        read_voc(Files(content), DataSettings())


@pytest.mark.real
def test_the_blood_cells_are_all_read_with_their_own_lists() -> None:
    root = Path(os.environ.get("GNOMON_DATA", "../shared/data")) / "blood-cells-voc"
    if not root.is_dir():
        pytest.skip("GNOMON_DATA has no blood-cells-voc")
    found = read_voc(FolderTree(str(root)), DataSettings())
    texts = [path.read_text() for path in (root / "Annotations").glob("*.xml")]
    assert len(found.labels) == sum(text.count("<object>") for text in texts)
    names = Counter(name for text in texts for name in re.findall(r"<name>(\w+)</name>", text))
    counted = np.bincount(found.labels).tolist()
    assert dict(zip(found.class_names, counted, strict=True)) == names
    lines = {one: len((root / f"ImageSets/Main/{one}.txt").read_text().split()) for one in ("train", "val", "test")}
    splits = Counter(picture.split for picture in found.pictures)
    assert (splits["train"], splits["dev"], splits["test"]) == (lines["train"], lines["val"], lines["test"])
    assert not found.bad
