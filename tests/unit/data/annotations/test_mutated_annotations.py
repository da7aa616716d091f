"""Files with random damage are read or named; no other error comes out of the readers."""

from __future__ import annotations

import random

import numpy as np
import pytest
from annotated import Files, coco, masks, png, voc, voc_object, yolo

from gnomon.core.errors import GnomonError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.reading import read_annotations

ROUNDS = 100
SETTINGS = DataSettings(max_bad=1.0)
TOKENS = (
    b"", b"\x00", b"\xff\xfe", b'"', b"[", b"]", b"{", b"}", b"<", b"&x;", b"nan", b"1e999", b"-1", b"null", b"9" * 400,
    b"true", b",", b":", b"\n", b"- ", b"*a", b"!!python/object:os.system", b"\xe2\x80\xae", b"0x10", b".",
)  # fmt: skip
ONE = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 8, 8], "segmentation": [[1, 2, 9, 2, 9, 10]],
       "keypoints": [1, 2, 2], "area": 5, "iscrowd": 0}  # fmt: skip
RUNS = ONE | {"id": 2, "segmentation": {"size": [30, 40], "counts": "0`U1"}}
TARGETS = {
    "voc": (voc(voc_object("cell", (1, 1, 5, 5)), more={"ImageSets/Main/train.txt": "a\nb0\n"}), "Annotations/a.xml"),
    "coco": (coco([ONE, RUNS]), "annotations/instances.json"),
    "data.yaml": (yolo("0 .5 .5 .1 .1"), "data.yaml"),
    "labels": (yolo("0 .5 .5 .1 .1\n1 .1 .1 .5 .1 .5 .9\n"), "labels/a.txt"),
    "boxes": (Files({"t.csv": "file,class,left,top,right,bottom\na.png,x,1,2,3,4\nb.png,y,1,2,3,4\n", "a.png": png(),
                     "b.png": png(seed=1)}), "t.csv"),
    "points": (Files({"t.csv": "file,x1,y1,x2,y2\na.png,1,2,3,4\nb.png,1,2,3,4\n", "a.png": png(),
                      "b.png": png(seed=1)}), "t.csv"),
    "mask": (masks(np.arange(1200).reshape(30, 40).astype(np.uint8) % 2), "masks/a.png"),
    "picture": (yolo("0 .5 .5 .1 .1"), "images/a.png"),
}  # fmt: skip


def _damaged(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice((0, 1, 1, 2, 8, 40)))
        content = content[:start] + rng.choice((*TOKENS, content[end : end + 9])) + content[end:]
    return content


@pytest.mark.parametrize("name", TARGETS)
def test_damage_is_read_or_named(name: str) -> None:
    tree, target = TARGETS[name]
    rng = random.Random(name)
    read = 0
    for _ in range(ROUNDS):
        content = {file.name: tree.read(file.name) for file in tree.files}
        content[target] = _damaged(content[target], rng)
        try:
            found = read_annotations(Files(content), SETTINGS)
        except GnomonError:
            continue
        read += 1
        for position, picture in enumerate(found.pictures):
            for one in found.objects(position):
                left, top, right, bottom = one.box
                assert 0 <= left < right <= picture.width
                assert 0 <= top < bottom <= picture.height
                assert 0 <= one.label < len(found.class_names)
            if found.masks is not None:
                assert found.mask(position).shape == (picture.height, picture.width)
    assert read  # some damage is harmless, or leaves one picture out
