"""Annotated pictures as examples: what is read is what the annotations say, whatever is taken, joined or resized."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotated import NEARLY, PADDING, read_annotated, read_to_predict
from gnomon.data.annotations.model import IGNORED
from gnomon.data.images import Whites
from gnomon.data.source import Source
from tests.samples.annotated import coco, encoded, masks, voc, voc_object, voc_xml


def source_of(tree) -> Source:
    return Source("memory", "memory", tree=tree)


def read(tree, wanted="boxes"):
    reading = read_annotated(source_of(tree), DataSettings(), wanted, 320)
    return reading.splits["all"]


def test_objects_are_those_of_the_annotations_and_boxes_lists_them_in_order():
    examples = read(voc(voc_object("plate", (3, 5, 20, 25)), voc_object("cell", (1, 1, 40, 30), difficult=1)))
    first = next(i for i in range(len(examples)) if len(examples.objects(i)) == 2)
    names = [examples.class_names[one.label] for one in examples.objects(first)]
    assert names == ["plate", "cell"]
    assert examples.objects(first)[0].box == (2.0, 4.0, 20.0, 25.0)  # from 1-based inclusive corners
    assert examples.objects(first)[1].is_difficult
    boxes, begins = examples.boxes()
    assert begins[-1] == len(boxes) == sum(len(examples.objects(i)) for i in range(len(examples)))
    for i in range(len(examples)):
        rows = boxes[begins[i] : begins[i + 1]]
        assert rows[:, :4].tolist() == [list(one.box) for one in examples.objects(i)]
        assert rows[:, 4].tolist() == [one.label for one in examples.objects(i)]


def test_joined_sources_share_one_list_of_classes_by_name():
    ours = read(voc(voc_object("plate", (3, 5, 20, 25))))
    categories = [{"id": 1, "name": "plate"}, {"id": 2, "name": "dust"}, {"id": 3, "name": "cell"}]
    theirs = read(coco([
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 10, 10], "area": 100, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [1, 2, 10, 10], "area": 100, "iscrowd": 0},
    ], categories=categories))  # fmt: skip
    joined = ours.take(np.array([0, 1])).join(theirs)
    names = [[joined.class_names[one.label] for one in joined.objects(i)] for i in range(len(joined))]
    expected = [[part.class_names[one.label] for one in part.objects(i)] for part, i in
                [(ours, 0), (ours, 1), *((theirs, i) for i in range(len(theirs)))]]  # fmt: skip
    assert names == expected
    assert names[2:4] == [["dust"], ["plate"]]
    assert joined.index["id"].to_list() == ours.index["id"].to_list()[:2] + theirs.index["id"].to_list()


def test_masks_of_two_sources_agree_on_what_a_class_is():
    values = np.zeros((30, 40), np.uint8)
    values[:, 20:] = 1
    ours = read(masks(values), "masks")
    assert ours.class_names == ("0", "1")
    outlined = read(coco([
        {"id": 1, "image_id": 1, "category_id": 7, "segmentation": [[0, 0, 10, 0, 10, 10, 0, 10]],
         "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0},
    ]), "masks")  # fmt: skip
    assert outlined.class_names == ("background", "cell", "plate")
    mask = outlined.mask(0)
    assert (mask[:10, :10] == 2).all()
    assert mask.sum() == 2 * 100
    joined = ours.join(outlined)
    assert joined.class_names == ("0", "1", "background", "cell", "plate")
    assert (joined.mask(len(ours))[:10, :10] == 4).all()
    assert joined.mask(len(ours))[20, 30] == 2  # the background has its own place
    assert (joined.mask(0) == ours.mask(0)).all()


def test_pictures_keep_their_shape_and_the_rest_is_gray():
    tall = encoded(np.full((40, 10, 3), 250, np.uint8), "PNG")
    examples = read(voc(voc_object("plate", (3, 5, 20, 25)), more={
        "JPEGImages/b0.png": tall, "Annotations/b0.xml": voc_xml("b0.png", width=10, height=40),
    }))  # fmt: skip
    at = examples.index["id"].to_list().index("JPEGImages/b0.png")
    assert examples.sizes()[at].tolist() == [40, 10]
    pixels = examples.pixels(20, 60, 3)[at]
    assert (pixels[:, :5] == 250).all()  # scaled by one half, which is what fits
    assert (pixels[:, 5:] == PADDING).all()
    assert examples.scales(20, 60)[at] == 0.5


def test_pictures_that_nearly_fill_the_frame_keep_their_pixels():
    examples = read(voc(voc_object("plate", (3, 5, 20, 25))))
    height, width = examples.sizes()[0]
    larger = int(height * NEARLY) - 1, int(width * NEARLY) - 1
    assert (examples.scales(*larger) == 1).all()
    assert (examples.pixels(*larger, 3)[0, :height, :width] == examples[0].inputs).all()


def test_an_annotation_of_another_kind_is_refused_with_the_task_to_use():
    with pytest.raises(DataError, match=r"have no masks.*task=detection"):
        read(voc(voc_object("plate", (3, 5, 20, 25))), "masks")
    with pytest.raises(DataError, match=r"have no boxes.*task=segmentation"):
        read(masks(np.eye(30, 40, dtype=np.uint8)))


def test_masks_are_not_taken_for_pictures_to_predict():
    tree = masks(np.eye(30, 40, dtype=np.uint8))
    found = read_to_predict(source_of(tree), DataSettings(), Whites(), "masks", 256).splits["all"]
    assert all(name.startswith("images/") for name in found.index["id"])
    assert found[0].target is None
    assert found.objects(0) == []
    assert (found.mask(0) == IGNORED).all()
