"""COCO: what is read, lazily; splits, classes by name, keypoints, run lengths."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from annotated import coco, png, turned_jpeg, voc, voc_object

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.coco import read_coco
from gnomon.data.annotations.model import Polygons, Runs
from gnomon.data.annotations.outlines import mask_of
from gnomon.data.annotations.reading import read_annotations

SETTINGS = DataSettings(max_bad=0.5)
SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]


def one(**more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": 3, "bbox": [2, 3, 10, 10], "iscrowd": 0} | more


def test_boxes_classes_with_gaps_in_their_ids_and_crowds_are_read() -> None:
    found = read_coco(coco([one(), one(id=2, category_id=7, iscrowd=1, bbox=[0, 0, 40, 30])]), SETTINGS)
    assert found.class_names == ("cell", "plate")
    first, second = found.objects(0)
    assert (first.label, first.box, first.is_crowd) == (0, (2, 3, 12, 13), False)
    assert (second.label, second.box, second.is_crowd) == (1, (0, 0, 40, 30), True)
    assert [len(found.objects(i)) for i in range(10)] == [2] + [0] * 9  # listed without objects: negatives
    assert not found.bad


def test_a_key_of_each_image_says_which_belong_together() -> None:
    images = [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 30, "patient": n % 2} for n in range(1, 11)]
    found = read_annotations(coco([one()], images=images), DataSettings(group="patient"))
    assert [picture.group for picture in found.pictures] == ["1", "0"] * 5
    with pytest.raises(DataError, match="it has no ward, a text or a whole number"):
        read_annotations(coco([one()], images=images), DataSettings(group="ward"))
    with pytest.raises(UsageError, match=r"Pascal VOC has no place that says .* \(group=patient\)"):
        read_annotations(voc(voc_object("cell", (2, 3, 10, 12))), DataSettings(group="patient"))


def test_annotations_before_images_and_in_any_order_are_the_same() -> None:
    tree = coco([one(image_id=9, id=5), one(), one(image_id=9, id=6, category_id=7)])
    data = json.loads(tree.read("annotations/instances.json"))
    turned_round = json.dumps({key: data[key] for key in ("annotations", "categories", "images")}, indent=1)
    a, b = read_coco(tree, SETTINGS), read_coco(coco([], text=turned_round), SETTINGS)
    assert (a.boxes == b.boxes).all()
    assert a.labels.tolist() == b.labels.tolist() == [0, 0, 1]
    assert a.first.tolist() == b.first.tolist() == [0] + [1] * 8 + [3, 3]


def test_outlines_are_parsed_when_asked_for() -> None:
    runs = {"size": [30, 40], "counts": [30 * 5 + 2, 10, 30 * 40 - 30 * 5 - 12]}
    found = read_coco(coco([one(segmentation=[SQUARE]), one(id=2, segmentation=runs, area=10.0)]), SETTINGS)
    polygon, pixels = (each.details for each in found.objects(0))
    assert isinstance(polygon.outline, Polygons)
    assert polygon.outline.parts[0].tolist() == [[2, 3], [12, 3], [12, 13], [2, 13]]
    assert isinstance(pixels.outline, Runs)
    mask = mask_of(pixels.outline, 30, 40)
    assert (mask.sum(), mask[2:12, 5].all(), pixels.area) == (10, True, 10.0)


def test_packed_run_lengths_are_read() -> None:
    # the whole picture of 1,200 pixels: runs 0 and 1200; 1200 = 0b00001_00101_10000 in fives: P|`, 5|U, 1
    found = read_coco(coco([one(segmentation={"size": [30, 40], "counts": "0`U1"})]), SETTINGS)
    outline = found.objects(0)[0].details.outline
    assert isinstance(outline, Runs)
    assert outline.counts.tolist() == [0, 1200]


def test_keypoints_are_read_with_their_names() -> None:
    categories = [{"id": 3, "name": "cell", "keypoints": ["head", "tail"]}]
    found = read_coco(coco([one(keypoints=[3, 4, 2, 0, 0, 0])], categories=categories), SETTINGS)
    points = found.objects(0)[0].details.points
    assert points is not None
    assert (found.point_names, points.tolist()) == (("head", "tail"), [[3, 4, 2], [0, 0, 0]])


def _file(ids: dict[int, str], pictures: list[str], objects: list[tuple[int, int]]) -> str:
    return json.dumps({
        "images": [{"id": n, "file_name": name, "width": 40, "height": 30} for n, name in enumerate(pictures)],
        "categories": [{"id": n, "name": name} for n, name in ids.items()],
        "annotations": [
            {"id": n, "image_id": image, "category_id": kind, "bbox": [1, 1, 5, 5]}
            for n, (image, kind) in enumerate(objects)
        ],
    })  # fmt: skip


def test_a_file_per_split_with_other_numbers_for_the_classes_is_joined_by_name() -> None:
    files = {
        "annotations/instances_train2017.json": _file({1: "a", 2: "b"}, ["1.png"], [(0, 1), (0, 2)]),
        "annotations/instances_val2017.json": _file({1: "b", 2: "a"}, ["1.png"], [(0, 1)]),
        "annotations/captions_train2017.json": '{"images": [], "annotations": []}',
        "train2017/1.png": png(), "val2017/1.png": png(seed=5),
    }  # fmt: skip
    tree = coco([], text=" ", more=files)
    found = read_coco(tree, SETTINGS)
    assert [(one.file, one.split) for one in found.pictures] == [("train2017/1.png", "train"), ("val2017/1.png", "dev")]
    assert [found.class_names[label] for label in found.labels] == ["a", "b", "b"]
    assert any("annotations/captions_train2017.json" in note for note in found.notes)


def test_a_class_that_train_does_not_have_is_an_error() -> None:
    files = {
        "train.json": _file({1: "a"}, ["1.png"], []), "val.json": _file({1: "c"}, ["2.png"], []),
    }  # fmt: skip
    with pytest.raises(DataError, match=r"val.json: class c is not in train.json"):
        read_coco(coco([], text=" ", more=files), SETTINGS)


def test_objects_in_the_picture_as_stored_are_turned_upright_with_it() -> None:
    tree = coco(
        [one(bbox=[2, 4, 8, 12], segmentation=[[2, 4, 10, 4, 10, 16]])], more={"images/1.png": turned_jpeg(40, 30, 6)}
    )
    found = read_coco(tree, SETTINGS)
    thing = found.objects(0)[0]
    assert thing.box == (14, 2, 26, 10)  # clockwise: (x, y) goes to (30 - y, x)
    assert isinstance(thing.details.outline, Polygons)
    assert thing.details.outline.parts[0].tolist() == [[26, 2], [26, 10], [14, 10]]


def test_pictures_that_no_file_lists_are_left_out_and_said() -> None:
    found = read_coco(coco([], more={"images/99.png": png()}), SETTINGS)
    assert len(found.pictures) == 10
    assert any("left out: 1 (images/99.png)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": ' + "[" * 1_000_000, "nested too deep"),
        ('{"images": [], "annotations": [], "categories": [}', r"line 1, column 50: a value is expected"),
        ('{"images": [],\n "annotations": [', "ends at line 2"),
        ('{"images": [], "annotations": [1 2], "categories": []}', "column 34: a comma or ] is expected"),
        ('{"images": [], "annotations": [], "images": []}', "it has images twice"),
        ('{"images": [], "annotations": [' + "9" * 5000 + "]}", "integer string conversion"),
        ('{"images": [], "annotations": []}', "it has no categories"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
         "category id 1 is a and b"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}',
         "class a has two category ids"),
    ],
)  # fmt: skip
def test_damaged_files_are_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_coco(coco([], text=text if '"annotations"' in text else text + '"annotations": ['), SETTINGS)


def test_masks_of_ten_thousand_objects_stay_out_of_memory() -> None:
    found = read_coco(coco([one(id=n, segmentation=[SQUARE]) for n in range(10_000)]), SETTINGS)
    assert (len(found.labels), len(found.details)) == (10_000, 10_000)
    assert found.boxes.nbytes + found.labels.nbytes + found.flags.nbytes == 37 * 10_000
    assert np.unique(found.boxes, axis=0).tolist() == [[2, 3, 12, 13]]
