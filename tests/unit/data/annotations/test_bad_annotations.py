"""Bad annotations of every kind: each is found, named by file and object, and repaired, left out or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from annotated import Files, coco, encoded, masks, png, voc, voc_object, yolo

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.reading import read_annotations

SETTINGS = DataSettings(max_bad=0.6)


@dataclass(frozen=True)
class Case:
    """What is wrong, and what must be said of which file and object."""

    name: str
    tree: Files
    answer: str  # "repaired", "left out" or "error"
    where: str
    why: str


def _voc(name: str, answer: str, where: str, why: str, *objects: str, **more: Any) -> Case:
    return Case(f"voc: {name}", voc(*objects, **more), answer, f"Annotations/a.xml{where}", why)


def _box(*corners: object) -> str:
    return voc_object("cell", corners)


def _raw(text: str | bytes) -> dict[str, Any]:
    return {"more": {"Annotations/a.xml": text}}


OUT, REPAIRED, ERROR = "left out", "repaired", "error"
BOMB = '<!DOCTYPE a [<!ENTITY x "ha">]><annotation><filename>&x;</filename></annotation>'
VOC = [
    _voc("beyond the right edge", REPAIRED, ": object 1 (cell)", "reach out of the picture", _box(30, 5, 60, 10)),
    _voc("beyond the bottom edge", REPAIRED, ": object 1 (cell)", "reach out of the picture", _box(5, 20, 9, 31)),
    _voc("negative corner", REPAIRED, ": object 1 (cell)", "reach out of the picture", _box(-5, 5, 10, 10)),
    _voc("corner at 0", REPAIRED, ": object 1 (cell)", "counting starts at 1", _box(0, 5, 10, 10)),
    _voc("corners exchanged", REPAIRED, ": object 2 (cell)", "exchanged", _box(1, 1, 3, 3), _box(20, 5, 10, 10)),
    _voc("all outside", OUT, ": object 1 (cell)", "outside of its picture", _box(50, 5, 60, 10)),
    _voc("NaN", OUT, ": object 1 (cell)", "xmin is 'nan', not a number", _box("nan", 5, 10, 10)),
    _voc("text", OUT, ": object 1 (cell)", "ymax is 'ten', not a number", _box(1, 5, 10, "ten")),
    _voc("too large to be a number", OUT, ": object 1 (cell)", "not a finite number", _box(1, 5, "1e400", 9)),
    _voc(
        "corner missing", OUT, ": object 1 (cell)", "xmin is 'missing'", _box(1, 2, 3, 4).replace("<xmin>1</xmin>", "")
    ),
    _voc("no box", OUT, ": object 1 (cell)", "without a box", "<object><name>cell</name></object>"),
    _voc("no name", OUT, ": object 1", "without a name", _box(1, 2, 3, 4).replace("<name>cell</name>", "")),
    _voc(
        "odd flag",
        REPAIRED,
        ": object 1 (cell)",
        "difficult neither 0 nor 1",
        voc_object("cell", (1, 2, 3, 4), difficult=7),
    ),
    _voc("size of another picture", OUT, "", "says 500 x 375 pixels, the picture has 40 x 30", width=500, height=375),
    _voc("size 0", REPAIRED, "", "a stated size of 0", width=0, height=0),
    _voc("bomb of entities", OUT, "", "a document type is declared", **_raw(BOMB)),
    _voc("cut off", OUT, "", "not well-formed XML", **_raw("<annotation><object>")),
    _voc("empty file", OUT, "", "not well-formed XML", **_raw(b"")),
    _voc("deep", OUT, "", "nested more than 50 deep", **_raw("<annotation>" + "<a>" * 5000)),
    _voc("another kind of XML", OUT, "", "outermost element is svg", **_raw("<svg/>")),
    _voc(
        "file name leads out",
        REPAIRED,
        "",
        "another file name inside",
        **_raw("<annotation><filename>../../etc/passwd</filename></annotation>"),
    ),
    Case(
        "voc: picture is missing",
        voc(more={"Annotations/gone.xml": "<annotation><filename>../x.png</filename></annotation>"}),
        OUT,
        "Annotations/gone.xml",
        "its picture ../x.png is not in the folder",
    ),
    Case("voc: damaged picture", voc(more={"JPEGImages/a.png": b"<html>"}), OUT, "JPEGImages/a.png", "not an image"),
    Case(
        "voc: listed, not there", voc(more={"ImageSets/Main/train.txt": "a\nnone\n"}), OUT, "none", "listed for train"
    ),
    Case(
        "voc: in two lists",
        voc(more={"ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": "a\n"}),
        ERROR,
        "",
        "a is in two lists",
    ),
]


def _coco(name: str, answer: str, where: str, why: str, **change: Any) -> Case:
    one = {"id": 17, "image_id": 1, "category_id": 3, "bbox": [2, 3, 10, 10]} | change
    good = [{"id": n, "image_id": 2, "category_id": 3, "bbox": [2, 3, 10, 10]} for n in range(1, 4)]
    return Case(f"coco: {name}", coco([*good, one]), answer, where or "annotation id 17", why)


def _coco_text(name: str, answer: str, where: str, why: str, old: str, new: str) -> Case:
    box = {"category_id": 3, "bbox": [2, 3, 10, 10]}
    tree = coco([box | {"id": 17, "image_id": 1}, box | {"id": 18, "image_id": 5}])
    text = tree.read("annotations/instances.json").decode()
    assert old in text
    return Case(f"coco: {name}", coco([], text=text.replace(old, new, 1)), answer, where, why)


RUNS = {"size": [30, 40], "counts": [100, 100, 1000]}
COCO = [
    _coco("unknown picture", OUT, "", "image_id 99 is not among the images", image_id=99),
    _coco("picture id is text", OUT, "", 'image_id "1" is not among', image_id="1"),
    _coco(
        "unknown class",
        ERROR,
        "instances.json",
        "annotation id 17 has category_id 5, which is not among the categories (3, 7)",
        category_id=5,
    ),
    _coco("negative width", OUT, "", "a box without area (-10 x 10 pixels)", bbox=[20, 3, -10, 10]),
    _coco("no area", OUT, "", "a box without area (0 x 10 pixels)", bbox=[20, 3, 0, 10]),
    _coco("outside", OUT, "", "a box outside of its picture (50, 3, 60, 13 in 40 x 30", bbox=[50, 3, 10, 10]),
    _coco("partly outside", REPAIRED, "", "reach out of the picture", bbox=[-3, 3, 10, 10]),
    _coco("NaN", OUT, "", "not a finite number", bbox=[float("nan"), 3, 10, 10]),
    _coco("three numbers", OUT, "", "a box that is not four numbers", bbox=[1, 2, 3]),
    _coco("box of texts", OUT, "", "a box that is not four numbers", bbox=["1", "2", "3", "4"]),
    _coco("id twice", REPAIRED, "annotation id 2", "annotation ids used twice", id=2),
    _coco("box missing", REPAIRED, "", "no box: taken from the outline", bbox=None, segmentation=[[1, 1, 5, 1, 5, 5]]),
    _coco("polygon of two points", REPAIRED, "", "under three points", segmentation=[[1, 1, 5, 1]]),
    _coco("polygon of text", OUT, "", "not a finite number", segmentation=[[1, 1, 5, 1, 5, "x"]]),
    _coco(
        "run lengths of another size",
        OUT,
        "",
        "run lengths for a picture of size [40, 30]",
        segmentation=RUNS | {"size": [40, 30]},
    ),
    _coco(
        "run lengths too short",
        OUT,
        "",
        "run lengths of 1,199 pixels in a picture of 1,200",
        segmentation=RUNS | {"counts": [100, 100, 999]},
    ),
    _coco(
        "run lengths negative", OUT, "", "run lengths that cannot be read", segmentation=RUNS | {"counts": [-1, 1201]}
    ),
    _coco(
        "run lengths packed wrongly", OUT, "", "run lengths that cannot be read", segmentation=RUNS | {"counts": "\n"}
    ),
    _coco("keypoints of no class", OUT, "", "5 numbers of keypoints", keypoints=[1, 2, 2, 4, 5]),
    _coco("keypoint seen 7 times", OUT, "", "visibility is not 0, 1 or 2", keypoints=[1, 2, 7]),
    _coco_text("1e400", OUT, "annotation id 17", "not a finite number", "[2, 3, 10, 10]", "[2, 3, 1e400, 10]"),
    _coco_text("a name twice", OUT, "annotation id 17", "two values for bbox", '"bbox"', '"bbox": 0, "bbox"'),
    _coco_text("picture is missing", OUT, "image id 1 (gone.png)", "not in the folder", '"1.png"', '"gone.png"'),
    _coco_text(
        "picture leads out", OUT, "image id 1 (../../gone.png)", "not in the folder", '"1.png"', '"../../gone.png"'
    ),
    _coco_text("other size", OUT, "image id 1 (1.png)", "says 41 x 30 pixels, the picture has 40 x 30", "40", "41"),
    _coco_text("picture id twice", OUT, "image id 1 (2.png)", "its id is also that of 1.png", '"id": 2', '"id": 1'),
    _coco_text("picture listed twice", OUT, "image id 2 (1.png)", "the same picture as image id 1", "2.png", "1.png"),
    Case(
        "coco: cut off", coco([], text='{"images": [], "annotations": ['), ERROR, "instances.json", "it ends at line 1"
    ),
    Case(
        "coco: deep",
        coco([], text='{"images": [], "annotations": ' + "[" * 1_000_000),
        ERROR,
        "instances.json",
        "nested too deep",
    ),
]
YOLO = [
    Case(f"yolo: {name}", yolo(f"0 .5 .5 .1 .1\n{line}\n"), answer, "labels/a.txt line 2", why)
    for name, line, answer, why in [
        ("too few numbers", "0 .5 .5 .1", OUT, "3 numbers after the class"),
        ("a score behind the box", "0 .5 .5 .1 .1 .9", OUT, "5 numbers after the class"),
        ("text", "0 .5 .5 .1 wide", OUT, "wide is not a number"),
        ("NaN", "0 nan .5 .1 .1", OUT, "not a finite number"),
        ("pixels", "0 120 80 40 30", OUT, "places are shares from 0 to 1, not pixels"),
        ("no area", "0 .5 .5 0 .1", OUT, "a box without area"),
        ("outside", "0 1.5 .5 .1 .1", OUT, "outside of its picture"),
        ("partly outside", "0 .95 .5 .2 .1", REPAIRED, "reach out of the picture"),
        ("a line twice", "0 .5 .5 .1 .1", REPAIRED, "lines that repeat another"),
    ]
] + [
    Case(
        "yolo: class out of range",
        yolo("7 .5 .5 .1 .1"),
        ERROR,
        "labels/a.txt",
        "line 1: class 7 is not one of data.yaml",
    ),
]
TABLES = [
    Case(
        f"table: {name}",
        Files(
            {
                "boxes.csv": f"file,class,left,top,right,bottom\na.png,k,1,1,5,5\n{line}\n",
                "a.png": png(),
                "b.png": png(seed=1),
            }
        ),
        answer,
        "boxes.csv" if answer == ERROR else "boxes.csv line 3",
        why,
    )
    for name, line, answer, why in [
        ("no such picture", "gone.png,k,1,1,5,5", OUT, "gone.png is not in the folder"),
        ("picture leads out", "../b.png,k,1,1,5,5", OUT, "../b.png is not in the folder"),
        ("absolute path", "/b.png,k,1,1,5,5", OUT, "/b.png is not in the folder"),
        ("no class", "b.png,,1,1,5,5", OUT, "a box without a class"),
        ("empty corner", "b.png,k,1,,5,5", OUT, "an empty cell is not a number"),
        ("no area", "b.png,k,5,5,5,9", OUT, "a box without area"),
        ("corners exchanged", "b.png,k,9,9,5,5", REPAIRED, "exchanged"),
        ("infinite", "b.png,k,1,1,inf,5", OUT, "not a finite number"),
        ("a cell too many", "b.png,k,1,1,5,5,6", ERROR, "line 3 has 7 cells"),
    ]
]
_SLIP = np.zeros((30, 40), np.uint8)
_SLIP[0, 0] = 9
_NOISE = np.random.default_rng(0).integers(0, 2, (30, 40)).astype(np.uint8)
_COLOURS = np.zeros((30, 40, 3), np.uint8)
_COLOURS[:, :, 1] = 200
MASKS = [
    Case(
        "mask: another size",
        masks(np.zeros((30, 41), np.uint8)),
        OUT,
        "masks/a.png",
        "41 x 30 pixels, its picture 40 x 30",
    ),
    Case("mask: unknown value", masks(_SLIP), OUT, "masks/a.png", "unknown values: 9"),
    Case(
        "mask: in colours",
        masks(_SLIP, more={"masks/a.png": encoded(_COLOURS, "PNG")}),
        OUT,
        "masks/a.png",
        "in colours",
    ),
    Case(
        "mask: cut off",
        masks(_SLIP, more={"masks/a.png": encoded(_NOISE, "PNG")[:200]}),
        OUT,
        "masks/a.png",
        "truncated",
    ),
    Case("mask: empty file", masks(_SLIP, more={"masks/a.png": b""}), OUT, "masks/a.png", "empty (0 bytes)"),
    Case(
        "mask: more values than names",
        masks(_SLIP, more={"classes.txt": "one\n"}),
        ERROR,
        "memory",
        "1 classes are listed",
    ),
]
CASES = [*VOC, *COCO, *YOLO, *TABLES, *MASKS]


def test_there_are_at_least_sixty_cases_with_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_found_named_and_answered(case: Case) -> None:
    if case.answer == ERROR:
        with pytest.raises(DataError, match=f"{re.escape(case.where)}.*{re.escape(case.why)}"):
            read_annotations(case.tree, SETTINGS)
        return
    found = read_annotations(case.tree, SETTINGS)
    left_out = [(one.where, one.why) for one in found.bad]
    repaired = [(place, what) for what, places in found.repaired for place in places]
    said = left_out if case.answer == OUT else repaired
    matching = [where for where, why in said if case.why in why and where.endswith(case.where)]
    assert len(matching) == 1, (left_out, repaired)
    assert (left_out if case.answer == REPAIRED else repaired) == []  # and nothing else is said
