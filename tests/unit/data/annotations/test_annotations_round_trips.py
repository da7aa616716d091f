"""What two formats both hold comes back from one through the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from annotated import Files, png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.masks import read_masks
from gnomon.data.annotations.model import (
    CROWD,
    DIFFICULT,
    TRUNCATED,
    Annotations,
    Collected,
    Details,
    Findings,
    Object,
    Picture,
    Polygons,
)
from gnomon.data.annotations.outlines import box_of, mask_of, polygons_of, runs_of
from gnomon.data.annotations.reading import format_of, read_annotations
from gnomon.data.annotations.writing import Format, Losses, written

W, H = 40, 30
CLASSES = ("ant", "bee & <co>", "yes", "007")
NAMES = ("a", "b/c d", "e.f")
SETTINGS = DataSettings()
QUICK = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])


def _whole(flags: int) -> st.SearchStrategy[Object]:
    def made(left: int, top: int, width: int, height: int, label: int, flag: int) -> Object:
        box = (float(left), float(top), float(min(left + width, W)), float(min(top + height, H)))
        return Object(label, box, flag & flags)

    numbers = [st.integers(0, W - 1), st.integers(0, H - 1), st.integers(1, W), st.integers(1, H)]
    return st.builds(made, *numbers, st.integers(0, len(CLASSES) - 1), st.integers(0, 7))


MASKS = arrays(np.bool_, (H, W), elements=st.booleans(), fill=st.just(False)).filter(lambda mask: mask.any())


def _annotations(objects: list[list[Object]], splits: list[str], points: tuple[str, ...] = ()) -> Annotations:
    tree = Files({f"{name}.png": png(seed=number) for number, name in enumerate(NAMES)})
    collected = Collected()
    for name, split, inside in zip(NAMES, splits, objects, strict=True):
        collected.add(Picture(f"{name}.png", W, H, split), inside)
    return collected.finish("made", tree, CLASSES, Findings(), point_names=points)


def _through(found: Annotations, to: Format) -> tuple[Annotations, Losses]:
    losses = Losses()
    tree = Files(dict(written(found, to, losses)))
    assert format_of(tree).format == to
    return read_annotations(tree, SETTINGS), losses


def _plain(found: Annotations, position: int) -> list[tuple[Any, ...]]:
    return [
        (found.class_names[one.label], tuple(round(edge, 6) for edge in one.box), one.flags)
        for one in found.objects(position)
    ]


SPLITS = st.sampled_from([["all"] * 3, ["train", "train", "test"], ["train", "dev", "test"]])


@pytest.mark.parametrize(("to", "flags"), [("coco", CROWD), ("voc", DIFFICULT | TRUNCATED), ("yolo", 0)])
@QUICK
@given(data=st.data())
def test_boxes_classes_flags_and_splits_come_back(to: Format, flags: int, data: st.DataObject) -> None:
    unique = lambda one: (one.label, one.box)  # noqa: E731  # YOLO counts equal lines once
    objects = [data.draw(st.lists(_whole(flags), max_size=4, unique_by=unique)) for _ in NAMES]
    made = _annotations(objects, data.draw(SPLITS))
    found, losses = _through(made, to)
    there = {one.file.rpartition("/")[2]: position for position, one in enumerate(found.pictures)}
    assert not found.bad
    assert not found.repaired
    for position, name in enumerate(["a.png", "c d.png", "e.f.png"]):
        back = there[name]
        assert found.pictures[back].split == made.pictures[position].split
        assert (found.pictures[back].width, found.pictures[back].height) == (W, H)
        assert _plain(found, back) == _plain(made, position)
        assert found.tree.read(found.pictures[back].file) == made.tree.read(made.pictures[position].file)
    assert set(losses.places) <= {"classes without objects"}
    if to != "voc":
        assert found.class_names == made.class_names


@QUICK
@given(MASKS, st.booleans())
def test_outlines_come_back_through_coco_pixel_by_pixel(mask: np.ndarray, as_runs: bool) -> None:
    outline = runs_of(mask) if as_runs else polygons_of(mask)
    thing = Object(1, box_of(outline), 0, Details(outline))
    found, losses = _through(_annotations([[thing], [], []], ["all"] * 3), "coco")
    back = found.objects(0)[0]
    assert back.box == thing.box
    assert back.details.outline is not None
    assert (mask_of(back.details.outline, H, W) == mask).all()
    assert back.details.area == pytest.approx(mask.sum())
    assert not losses.places


@QUICK
@given(st.lists(st.tuples(st.floats(0, W), st.floats(0, H)), min_size=3, max_size=6, unique=True))
def test_one_closed_line_comes_back_through_yolo(points: list[tuple[float, float]]) -> None:
    ring = np.array(points)
    outline = Polygons((ring,))
    left, top, right, bottom = box_of(outline)
    if right - left < 1e-3 or bottom - top < 1e-3:
        return
    made = _annotations([[Object(0, box_of(outline), 0, Details(outline))], [], []], ["all"] * 3)
    found, losses = _through(made, "yolo")
    back = found.objects(0)[0].details.outline
    assert isinstance(back, Polygons)
    assert np.allclose(back.parts[0], ring, atol=1e-8)
    assert not losses.places


@pytest.mark.parametrize("to", ["coco", "yolo"])
@QUICK
@given(st.lists(st.tuples(st.integers(0, W), st.integers(0, H), st.integers(1, 2)), min_size=2, max_size=2))
def test_points_come_back(to: Format, points: list[tuple[int, int, int]]) -> None:
    thing = Object(0, (1.0, 2.0, 30.0, 20.0), 0, Details(points=np.array(points, np.float64)))
    found, losses = _through(_annotations([[thing], [], []], ["all"] * 3, points=("1", "2")), to)
    back = found.objects(0)[0].details.points
    assert back is not None
    assert np.allclose(back, points)
    assert found.point_names == ("1", "2")
    assert not losses.places


@QUICK
@given(arrays(np.uint8, (H, W), elements=st.sampled_from([0, 1, 2, 255])))
def test_masks_come_back_through_masks_with_what_is_not_judged(values: np.ndarray) -> None:
    from annotated import encoded

    plain = np.arange(H * W).reshape(H, W).astype(np.uint8) % 3
    tree = Files({
        "images/a.png": png(), "masks/a.png": encoded(values, "PNG"), "images/b.png": png(seed=1),
        "masks/b.png": encoded(plain, "PNG"), "classes.txt": "sky\ntree\nroad\n",
    })  # fmt: skip
    made = read_masks(tree, SETTINGS)
    found, losses = _through(made, "masks")
    assert found.class_names == made.class_names == ("sky", "tree", "road")
    assert (found.mask(0) == made.mask(0)).all()
    assert (found.mask(1) == made.mask(1)).all()
    assert not losses.places


@QUICK
@given(arrays(np.uint8, (H, W), elements=st.sampled_from([0, 128, 255])))
def test_masks_come_back_through_objects(values: np.ndarray) -> None:
    from annotated import encoded

    three = np.zeros((H, W), np.uint8)
    three[:9], three[20:] = 128, 255
    content: dict[str, bytes | str] = {"images/z.png": png(seed=9), "masks/z.png": encoded(values, "PNG")}
    for number in range(4):
        content |= {f"images/{number}.png": png(seed=number), f"masks/{number}.png": encoded(three, "PNG")}
    made = read_masks(Files(content), SETTINGS)
    as_objects, _ = _through(made, "coco")
    assert as_objects.class_names == ("128", "255")
    found, _ = _through(as_objects, "masks")
    assert found.class_names == ("background", "128", "255")
    for position in range(len(made.pictures)):
        assert (found.mask(position) == made.mask(position)).all()


def test_what_a_format_cannot_hold_is_listed_with_its_picture() -> None:
    mask = np.zeros((H, W), bool)
    mask[2:12, 2:12] = True
    mask[4:6, 4:6] = False
    mask[20:25, 20:25] = True
    outline = polygons_of(mask)
    thing = Object(0, (2.5, 2.0, 25.0, 25.0), CROWD | DIFFICULT, Details(outline))
    made = _annotations([[thing], [], []], ["all"] * 3)
    assert set(_through(made, "voc")[1].places) == {
        "outlines of objects: only their boxes are written", "flags: crowd",
        "places between pixels: boxes are rounded to whole pixels", "classes without objects",
    }  # fmt: skip
    assert set(_through(made, "yolo")[1].places) == {
        "flags: crowd", "flags: difficult", "holes in outlines: filled", "all but the largest part of an outline",
        "boxes that are not those around their outlines",
    }  # fmt: skip
    assert _through(made, "coco")[1].places == {"flags: difficult": ["a.png"]}
    assert "flags of objects" in _through(made, "masks")[1].places


def test_masks_of_boxes_are_refused() -> None:
    made = _annotations([[Object(0, (1.0, 1.0, 5.0, 5.0))], [], []], ["all"] * 3)
    with pytest.raises(DataError, match="masks of boxes would be wrong at every corner"):
        dict(written(made, "masks", Losses()))


def test_pictures_of_one_name_in_two_folders_get_two_names() -> None:
    tree = Files({"x/1.png": png(), "y/1.png": png(seed=1)})
    collected = Collected()
    for name in ("x/1.png", "y/1.png"):
        collected.add(Picture(name, W, H), [])
    made = collected.finish("made", tree, CLASSES, Findings())
    assert {"images/x-1.png", "images/y-1.png"} <= set(dict(written(made, "coco", Losses())))
