"""What annotated pictures are like, and each kind of box that looks like a mistake, planted and found alone."""

from __future__ import annotations

import numpy as np
import pytest
from annotated import coco

import gnomon
from gnomon import tasks
from gnomon.core.settings import from_flat
from gnomon.data.annotated import read_annotated
from gnomon.data.annotated_facts import box_facts
from gnomon.data.source import Source

GOOD = [(1, 3, (2, 2, 10, 10)), (2, 3, (4, 4, 12, 10)), (3, 3, (0, 0, 9, 10)), (3, 7, (20, 10, 12, 9))]


def facts(*more, scale=1.0):
    rows = [
        {"id": number, "image_id": picture, "category_id": kind, "bbox": list(box), "area": 9, "iscrowd": 0}
        for number, (picture, kind, box) in enumerate([*GOOD, *more], start=1)
    ]
    source = Source("memory", "memory", tree=coco(rows))
    found = read_annotated(source, from_flat({}).data, "boxes", 64).splits["all"]
    return box_facts(found, np.full(len(found), scale))


def test_plain_boxes_are_not_doubtful_and_their_spread_is_theirs():
    found = facts()
    assert found.doubtful == ()
    assert (found.widths, found.heights) == ((40,) * 5, (30,) * 5)
    assert found.per_picture == (0, 0, 0, 0.75, 2)  # of 1, 1, 2 and seven times 0
    assert found.empty == 7
    assert (found.sides[0], found.sides[-1]) == (90**0.5, 120**0.5)
    assert (found.ratios[0], found.ratios[-1]) == (pytest.approx(0.9), pytest.approx(12 / 9))


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ((4, 3, (5, 5, 3, 3.5)), "tiny: 3.0 pixels as the model sees it"),
        ((4, 3, (0, 0, 40, 29)), "huge: 97% of the picture"),
        ((4, 3, (0, 0, 40, 4.4)), "odd shape: 9.1 times as wide as high"),
        ((3, 3, (0.2, 0, 9, 10)), "nearly the same box as object 1, of the same class"),
        ((3, 7, (0, 0, 9, 10)), "nearly the same box as object 1, of class cell"),
    ],
)
def test_a_box_that_looks_like_a_mistake_is_named(box, why):
    (found,) = facts(box).doubtful
    assert why in found.why
    assert found.file == f"images/{box[0]}.png"
    assert found.number == (3 if box[0] == 3 else 1)
    assert found.class_name == {3: "cell", 7: "plate"}[box[1]]
    assert found.box[:2] == box[2][:2]


def test_what_is_tiny_depends_on_the_size_that_a_model_sees():
    assert {one.why.split(":")[0] for one in facts(scale=0.3).doubtful} == {"tiny"}
    assert len(facts(scale=0.3).doubtful) == len(GOOD)


def test_a_shape_far_from_that_of_its_class_is_odd():
    usual = [(number, 3, (1, 1, 5, 25)) for number in range(4, 9)]  # upright, as most cells are here
    found = facts(*usual, (9, 3, (1, 1, 25, 20))).doubtful
    assert [one.file for one in found] == [f"images/{number}.png" for number in (1, 2, 3, 9)]  # 4.5 to 6.3 times wider
    assert all("odd shape" in one.why for one in found)


def test_peek_shows_boxes_with_their_classes_and_lists_what_they_are_like(tmp_path, capsys):
    from gnomon.cli import main

    source = tasks.load("detection").reader.write_sample(tmp_path / "s", seed=0)
    found = gnomon.peek(source, runs_folder=str(tmp_path / "runs"))
    assert found.picture.read_bytes().startswith(b"\x89PNG")
    assert sum(sum(splits.values()) for splits in found.counts.values()) == sum(
        page.read_text().count("<object>") for page in source.glob("Annotations/*.xml")
    )
    assert set(found.counts) == {"disc", "square"}
    assert main(["peek", str(source), f"runs_folder={tmp_path / 'runs'}"]) == 0
    shown = capsys.readouterr().out
    assert "boxes per picture" in shown
    assert "without boxes" in shown
