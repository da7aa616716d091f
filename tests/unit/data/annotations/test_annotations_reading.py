"""Which format a folder has, with evidence; and one clear error for none, or for two."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from annotated import Files, coco, masks, png, voc, voc_object, voc_xml, yolo

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.reading import format_of, read_annotations, recognise, tree_of
from gnomon.data.opening import open_source

MASK = np.arange(1200).reshape(30, 40).astype(np.uint8) % 2
TABLE = "file,class,left,top,right,bottom\na.png,x,1,2,3,4\n"
TREES = {
    "voc": voc(voc_object("cell", (1, 1, 5, 5))),
    "coco": coco([]),
    "yolo": yolo(""),
    "masks": masks(MASK),
    "table": Files({"boxes.csv": TABLE, "a.png": png()}),
}


@pytest.mark.parametrize("name", TREES)
def test_each_format_is_recognised_and_the_evidence_said(name: str) -> None:
    best, second, *_ = recognise(TREES[name])
    assert best.format == name
    assert best.certainty >= 0.9
    assert second.certainty < 0.5
    assert best.why


def test_a_folder_without_annotations_says_what_was_looked_for() -> None:
    with pytest.raises(DataError, match=r"no format of annotations is recognised \(.*Pascal VOC: no XML files named"):
        format_of(Files({"cats/1.png": png(), "dogs/2.png": png(seed=1)}))


@pytest.mark.parametrize(
    "more",
    [
        {"Annotations/a.xml": voc_xml("a.png")} | {f"Annotations/b{n}.xml": voc_xml(f"b{n}.png") for n in range(9)},
        {"boxes.csv": TABLE},
        {"instances.json": '{"images": [], "annotations": [], "categories": []}'},
    ],
    ids=["voc", "table", "coco"],
)
def test_a_folder_that_could_be_two_things_is_one_error(more: dict[str, bytes | str]) -> None:
    with pytest.raises(DataError, match=r"it could be .* or .*"):
        format_of(yolo("", more=more))


def test_a_zip_is_read_as_its_folder_would_be(tmp_path: Path) -> None:
    tree = TREES["voc"]
    with zipfile.ZipFile(tmp_path / "cells.zip", "w") as packed:
        for file in tree.files:
            packed.writestr(file.name, tree.read(file.name))
    found = read_annotations(tree_of(open_source(tmp_path / "cells.zip")), DataSettings())
    assert (len(found.pictures), found.objects(0)[0].box) == (10, (0, 0, 5, 5))


def test_one_file_of_annotations_stands_for_its_folder_and_that_above_annotations(tmp_path: Path) -> None:
    for file in TREES["coco"].files:
        (tmp_path / file.name).parent.mkdir(exist_ok=True)
        (tmp_path / file.name).write_bytes(TREES["coco"].read(file.name))
    (tmp_path / "boxes.csv").write_text(TABLE)  # another format beside it
    found = read_annotations(tree_of(open_source(tmp_path / "annotations/instances.json")), DataSettings())
    assert (found.format, len(found.pictures)) == ("coco", 10)


def test_what_is_in_memory_is_refused() -> None:
    with pytest.raises(DataError, match="read from files, not from memory"):
        tree_of(open_source(np.zeros((3, 4))))
