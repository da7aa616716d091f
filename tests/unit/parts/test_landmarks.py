"""Points: which ones belong together, what a mirrored picture does to them, errors in units of each picture."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.parts import View
from gnomon.core.settings import DataSettings, from_flat
from gnomon.data.annotated import read_annotated
from gnomon.data.source import Source
from gnomon.parts.annotated import AnnotatedEncoder
from gnomon.parts.landmarks import (
    LandmarksHead,
    LandmarksJudge,
    between_of,
    pairs_of,
    places_of,
    units_or_usual,
)
from tests.samples.annotated import Files, coco, encoded, png

NAMES = ("left_eye", "right_eye", "nose")
HEADER = "file," + ",".join(f"{name}_{axis}" for name in NAMES for axis in "xy") + "\n"
ROWS = HEADER + "a.png,10,10,40,10,25,20\nb.png,10,20,,,30,30\nc.png,20,20,20,20,20,30\n"
NAN = float("nan")


def read(rows=ROWS, pictures=None):
    pictures = pictures or {f"{name}.png": png(64, 32, seed=i) for i, name in enumerate("abc")}
    tree = Files({"landmarks.csv": rows, **pictures})
    return read_annotated(Source("memory", "memory", tree=tree), DataSettings(), "points", 64).splits["all"]


def head_for(examples, **settings):
    return LandmarksHead.fit(examples, from_flat({"task": "landmarks", **settings}))


def batch_of(task_head, examples, scale=1.0):
    columns = {"frame": torch.tensor([[scale, 32, 64]] * len(examples), dtype=torch.float64)}
    columns |= task_head.encode(examples)
    return task_head.collate(dict(columns), columns, torch.arange(len(examples)))


def test_points_that_are_not_given_are_nan():
    places = places_of(read())
    np.testing.assert_array_equal(places[0], [[10, 10], [40, 10], [25, 20]])
    np.testing.assert_array_equal(places[1], [[10, 20], [NAN, NAN], [30, 30]])


def test_points_of_other_names_are_refused():
    other = read(ROWS.replace("nose", "chin"))
    with pytest.raises(DataError, match=r"no points named nose; theirs are left_eye, right_eye, chin"):
        head_for(read()).encode(other)


def test_points_are_told_by_name_in_whatever_order_they_come():
    swapped = "file,nose_x,nose_y,right_eye_x,right_eye_y,left_eye_x,left_eye_y\na.png,25,20,40,10,10,10\n"
    other = read(swapped, {"a.png": png(64, 32)})
    np.testing.assert_array_equal(head_for(read()).encode(other)["places"][0], [[10, 10], [40, 10], [25, 20]])


def test_of_several_people_the_one_with_the_largest_box_counts():
    person = {"id": 3, "name": "cell", "keypoints": ["left_eye", "right_eye"]}
    people = [
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 10, 10], "keypoints": [1, 2, 2, 5, 2, 2]},
        {"id": 2, "image_id": 1, "category_id": 3, "bbox": [10, 0, 20, 20], "keypoints": [12, 4, 1, 0, 0, 0]},
    ]
    people = [{**one, "area": 100, "iscrowd": 0, "num_keypoints": 2} for one in people]
    tree = coco(people, categories=[person])
    examples = read_annotated(Source("memory", "memory", tree=tree), DataSettings(), "points", 64).splits["all"]
    np.testing.assert_array_equal(places_of(examples)[0], [[12, 4], [NAN, NAN]])  # hidden counts, not given does not
    assert any("1 picture with several sets of points" in note for note in head_for(examples).notes(examples))


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (NAMES, ((0, 1),)),
        (("nose", "r_ear", "l_ear"), ((2, 1),)),
        (("LeftHip", "RightHip"), None),  # no word of its own: nobody knows
        (("hip-left", "hip-right", "left", "right"), ((0, 1), (2, 3))),
        (("1", "2"), None),
    ],
)
def test_pairs_are_found_by_left_and_right_in_the_names(names, pairs):
    assert pairs_of((), names) == pairs


def test_pairs_may_be_given():
    assert pairs_of(("1-4", "2-3"), ("1", "2", "3", "4")) == ((0, 3), (1, 2))
    assert pairs_of(("a-b-c",), ("a-b", "c")) == ((0, 1),)
    assert pairs_of(("none",), NAMES) == ()
    with pytest.raises(UsageError, match=r"'1-5' does not name two points; there are 1, 2, 3"):
        pairs_of(("1-5",), ("1", "2", "3"))
    with pytest.raises(UsageError, match="1 is in two pairs"):
        pairs_of(("1-2", "1-3"), ("1", "2", "3"))


def test_the_unit_is_between_the_eyes_or_between_two_points_or_the_box():
    assert between_of((), NAMES) == (0, 1)
    assert between_of((), ("1", "2", "3")) is None
    assert between_of(("nose", "left_eye"), NAMES) == (2, 0)
    assert between_of(("box",), NAMES) is None
    with pytest.raises(UsageError, match="between=nose does not name two points"):
        between_of(("nose",), NAMES)


def test_units_by_hand():
    places = places_of(read())
    sizes = np.full((3, 2), [32, 64])
    usual = 0.5 * np.hypot(32, 64)
    np.testing.assert_allclose(units_or_usual(places, sizes, (0, 1), 0.5), [30, usual, usual])  # hidden; on one place
    np.testing.assert_allclose(units_or_usual(places, sizes, None, 0.5), [np.hypot(30, 10), np.hypot(20, 10), 10])


def test_missing_points_have_exactly_no_gradient():
    examples = read()
    head = head_for(examples)
    net = torch.nn.Linear(2, 6)
    head.losses(net(torch.ones(3, 2)), batch_of(head, examples))[1].backward()
    missing = net.weight.grad[2:4]  # x and y of the right eye
    assert (missing == 0).all()
    assert (net.weight.grad[[0, 1, 4, 5]] != 0).all()


def test_a_mirrored_picture_exchanges_left_and_right():
    """White at the left eye, grey at the right one: wherever they go, the left eye of the mirrored picture is grey."""
    pixels = np.zeros((32, 64), np.uint8)
    pixels[10, 10], pixels[10, 40] = 255, 120
    rows = HEADER + "a.png,10.5,10.5,40.5,10.5,25,20\nb.png,10.5,10.5,40.5,10.5,25,20\n"
    examples = read(rows, {f"{name}.png": encoded(pixels, "PNG") for name in "ab"})
    settings = from_flat({"task": "landmarks", "augment": "mirror", "mirror": 1.0})
    encoder, head = AnnotatedEncoder.fit(examples, settings), head_for(examples)
    columns = {**encoder.encode(examples), **head.encode(examples)}
    batch = head.collate(encoder.collate(columns, torch.arange(2)), columns, torch.arange(2))
    moved = head.soften(encoder.augment(batch, settings.regularise, torch.Generator()), settings.regularise)
    left, right = moved["points"][0, 0], moved["points"][0, 1]
    assert left.tolist() == [64 - 40.5, 10.5]
    assert right.tolist() == [64 - 10.5, 10.5]
    assert moved["image"][0, 0, 10, int(left[0])] == 120  # what was at the right
    assert moved["image"][0, 0, 10, int(right[0])] == 255
    assert moved.keys() == batch.keys()


def test_mirroring_is_refused_where_sides_are_unknown():
    examples = read(ROWS.replace("left_eye", "first").replace("right_eye", "second"))
    settings = from_flat({"task": "landmarks", "augment": "shift,mirror"})
    encoder = AnnotatedEncoder.fit(examples, settings)
    with pytest.raises(UsageError, match=r"left and right points change places.*pairs=none if no point has a side"):
        encoder.cautions(settings.regularise, head_for(examples))
    for given in ("none", "first-second"):
        assert encoder.cautions(settings.regularise, head_for(examples, pairs=given)) == ()


def judge():
    return LandmarksJudge(NAMES, (32, 64), ((0.0, 0.0),) * 3, 2.0, (0, 1), 0.5)


def test_errors_are_mean_distances_in_units_of_the_picture():
    examples = read()
    batch = batch_of(head_for(examples), examples)
    found = np.nan_to_num(places_of(examples)) + np.array([3.0, 4.0])  # 5 pixels off each
    units = [30, *head_for(examples).encode(examples)["unit"][1:].tolist()]
    np.testing.assert_allclose(judge().errors(found, batch), 5 / np.array(units))


def test_outputs_become_places_of_the_picture():
    frame = torch.tensor([[0.5, 64, 128]], dtype=torch.float64)
    found = judge().predict(torch.nn.Identity(), torch.tensor([[1.0, 2, 3, 4, 5, 6]]), {"frame": frame})
    np.testing.assert_allclose(found.values, [[[4, 8], [12, 16], [20, 24]]])  # twice 2, at half the size
    text = json.loads(judge().describe(np.array([[[1, 2], [NAN, NAN], [5.123, 6]]]))[0])
    assert text == {"left_eye": [1.0, 2.0], "right_eye": None, "nose": [5.12, 6.0]}


def test_metrics_by_hand():
    target = [{"left_eye": [0, 0], "right_eye": [10, 0], "nose": [5, 5]}] * 2
    answer = [
        {"left_eye": [0, 0], "right_eye": [10, 0], "nose": [5, 6]},  # 0, 0 and 0.1 units: within
        {"left_eye": [0, 2], "right_eye": [10, 3], "nose": [5, 6]},  # 0.2, 0.3 and 0.1: failed
    ]
    table = pl.DataFrame({
        "target": [json.dumps(one) for one in target], "prediction": [json.dumps(one) for one in answer],
        "width": [64, 64], "height": [32, 32], "error": [0.1 / 3, 0.2], "weight": [1.0, 1.0],
        "group": pl.Series([None, None], dtype=pl.String),
    })  # fmt: skip
    evaluation = Evaluation("dev", SHARE, table)
    found = judge().metrics(evaluation)
    assert found["failed (normalised error above 0.1)"].value == pytest.approx(0.5)
    assert found["points within 0.1"].value == pytest.approx(4 / 6)
    assert found["error of right_eye"].value == pytest.approx(0.15)
    assert found["error of nose"].value == pytest.approx(0.1)
    assert judge().less_is_better("error of nose")
    assert not judge().less_is_better("points within 0.1")
    assert judge().figures(evaluation)


def test_what_references_answer_is_what_they_learned():
    examples = read()
    columns = {"frame": torch.tensor([[0.5, 32, 64]] * 3, dtype=torch.float64), **head_for(examples).encode(examples)}
    plain = judge().plain_targets(columns)
    assert plain[0].tolist() == [5, 5, 20, 5, 12.5, 10]
    np.testing.assert_array_equal(judge().from_plain(plain, columns), places_of(examples))


def test_two_models_agree_on_the_mean_place():
    one, two = judge(), LandmarksJudge(NAMES, (32, 64), ((8.0, 8.0),) * 3, 1.0, (0, 1), 0.5)
    both = one.averaged([(one, torch.ones(1, 6)), (two, torch.zeros(1, 6))])  # 2 and 8 pixels
    assert both.tolist() == [[2.5] * 6]


def test_points_are_drawn_on_the_pixels_that_are_shown():
    view = View(image=np.zeros((16, 32), np.uint8), boxes=np.zeros((1, 4)))  # half of the picture's 64 x 32
    row = {"width": 64, "height": 32, "target": '{"left_eye": [2, 4], "right_eye": null, "nose": [8, 8]}'}
    drawn = judge().on_view(view, row, "target")
    np.testing.assert_array_equal(drawn.points, [[1, 2], [NAN, NAN], [4, 4]])
    assert drawn.boxes is None
