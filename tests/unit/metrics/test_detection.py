"""The numbers of detection: by pencil, by pycocotools (tests/golden/make_coco.py), and when pictures are repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gnomon.core.errors import DataError
from gnomon.metrics import detection, matching
from gnomon.metrics.matching import IGNORED, RIGHT, WRONG
from gnomon.reference import boxes as plain

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "coco.npz")
SETS = ["plain", "ties", "crowded"]
FAR = [500, 500, 510, 510]


def golden(name):
    """Truths, predictions, and their numbers of pictures and classes."""
    drawn, said = GOLDEN[f"{name} truths"], GOLDEN[f"{name} predictions"]
    pictures, classes = GOLDEN[f"{name} size"].tolist()
    truths = matching.truths(drawn[:, 0], drawn[:, 1], drawn[:, 2:6], is_crowd=drawn[:, 6], area=drawn[:, 7])
    predictions = matching.predictions(said[:, 0], said[:, 1], said[:, 2:6], said[:, 6])
    return truths, predictions, {"num_pictures": pictures, "num_classes": classes}


def one_class(truths, predictions, scores, **given):
    """(picture, box) each, of one class."""
    drawn = matching.truths([p for p, _ in truths], [0] * len(truths), [box for _, box in truths], **given)
    said = matching.predictions([p for p, _ in predictions], [0] * len(scores), [box for _, box in predictions], scores)
    return drawn, said


def square(left, top=0, side=10):
    return [left, top, left + side, top + side]


def as_given(matches, values):
    """Values (D,) in the order in which the predictions were given."""
    back = np.empty_like(values)
    back[matches.index] = values
    return back.tolist()


@pytest.mark.parametrize("name", SETS)
def test_the_twelve_numbers_are_those_of_pycocotools(name):
    truths, predictions, sizes = golden(name)
    matches = matching.match_as_coco(truths, predictions, **sizes)
    found = np.nan_to_num(list(detection.coco(matches).values()), nan=-1)
    assert_allclose(found, GOLDEN[f"{name} numbers"], rtol=0, atol=1e-12)
    assert_allclose(
        np.nan_to_num(detection.coco_per_class(matches)[0], nan=-1), GOLDEN[f"{name} per class"], rtol=0, atol=1e-12
    )


def plain_voc(truths, predictions, label, eleven_points):
    """One prediction after the other, as the development kit describes it."""
    rows = [i for i in range(len(predictions.label)) if predictions.label[i] == label]
    rows.sort(key=lambda i: (-predictions.scores[i], predictions.picture[i], i))
    taken, right, judged, curve = set(), 0, 0, []
    wanted = sum(truths.label[j] == label and not truths.is_difficult[j] for j in range(len(truths.label)))
    for i in rows:
        near = [
            (plain.iou(predictions.boxes[i], truths.boxes[j]), -j)
            for j in range(len(truths.label))
            if truths.label[j] == label and truths.picture[j] == predictions.picture[i]
        ]
        overlap, j = max(near, default=(0, 0))
        is_match = overlap >= 0.5
        if is_match and truths.is_difficult[-j]:
            continue
        judged += 1
        right += is_match and j not in taken
        taken |= {j} if is_match else set()
        curve.append((right / wanted, right / judged))
    if eleven_points:
        return sum(max((p for r, p in curve if r >= at), default=0) for at in np.linspace(0, 1, 11)) / 11
    before = [0, *(r for r, _ in curve)]
    return sum((r - before[i]) * max(p for _, p in curve[i:]) for i, (r, _) in enumerate(curve))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("eleven_points", [False, True])
def test_voc_ap_is_that_of_the_plain_loop(name, eleven_points):
    truths, predictions, sizes = golden(name)
    truths = replace(truths, is_difficult=truths.is_crowd, is_crowd=np.zeros_like(truths.is_crowd))
    matches = matching.match_as_voc(truths, predictions, **sizes)
    found = detection.voc_average_precision(matches, np.ones((1, sizes["num_pictures"])), eleven_points=eleven_points)
    wanted = [plain_voc(truths, predictions, label, eleven_points) for label in range(sizes["num_classes"] - 1)]
    assert_allclose(found[0], [*wanted, np.nan], rtol=0, atol=1e-12)


def test_the_order_of_truths_and_the_blocks_of_pairs_do_not_matter(monkeypatch):
    truths, predictions, sizes = golden("plain")
    wanted = detection.coco(matching.match_as_coco(truths, predictions, **sizes))
    monkeypatch.setattr(matching, "PAIRS", 7)
    order = np.random.default_rng(0).permutation(len(truths.label))
    mixed = matching.Truths(**{name: values[order] for name, values in vars(truths).items()})
    assert detection.coco(matching.match_as_coco(mixed, predictions, **sizes)) == pytest.approx(wanted, nan_ok=True)


def test_perfect_predictions_have_every_number_one():
    truths, _, sizes = golden("plain")
    full = replace(truths, is_crowd=np.zeros_like(truths.is_crowd))
    said = matching.predictions(truths.picture, truths.label, truths.boxes, np.ones(len(truths.label)))
    found = detection.coco(matching.match_as_coco(full, said, **sizes))
    for name in ("AP", "AP50", "AP75", "AR 100"):
        assert found[name] == pytest.approx(1)
    voc = matching.match_as_voc(full, said, **sizes)
    assert detection.voc(voc, np.ones((1, 40)))[0] == pytest.approx(1)
    assert detection.miss_rate(voc, np.ones((1, 40)))[0] == pytest.approx(1e-10)


def test_average_precision_of_right_wrong_right_on_paper():
    # precision 1 up to recall 1/2, then 2/3
    truths, said = one_class(
        [(0, square(0)), (1, square(0))], [(0, square(0)), (0, FAR), (1, square(0))], [0.9, 0.8, 0.7]
    )
    once, sizes = np.ones((1, 2)), {"num_pictures": 2, "num_classes": 1}
    voc = matching.match_as_voc(truths, said, **sizes)
    assert detection.voc(voc, once)[0] == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert detection.voc(voc, once, eleven_points=True)[0] == pytest.approx((6 + 5 * 2 / 3) / 11)
    coco = detection.coco(matching.match_as_coco(truths, said, **sizes))
    assert coco["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert np.isnan(coco["AP large"])


def test_an_iou_of_exactly_the_threshold_is_a_match():
    # 6 of 10 columns: IoU .6, which float32 thresholds call a miss at .6; found at .5, .55 and .6 of the ten
    truths, said = one_class([(0, square(0))], [(0, [0, 0, 6, 10])], [0.9])
    matches = matching.match_as_coco(truths, said, num_pictures=1, num_classes=1)
    assert detection.coco(matches)["AR 100"] == pytest.approx(0.3)


def test_a_second_prediction_of_an_object_is_wrong_and_in_voc_even_where_another_object_is_free():
    # the second prediction overlaps the first object most (9/11), and the second one by 7/13
    truths, said = one_class([(0, square(0)), (0, square(4))], [(0, square(0)), (0, square(1))], [0.9, 0.8])
    sizes = {"num_pictures": 1, "num_classes": 1}
    coco = matching.match_as_coco(truths, said, **sizes)
    assert coco.found[0, 0].tolist() == [RIGHT, RIGHT]
    assert coco.truth[0].tolist() == [0, 1]
    assert coco.found[0, 1].tolist() == [RIGHT, WRONG]  # 7/13 is under .55
    assert matching.match_as_voc(truths, said, **sizes).found[0, 0].tolist() == [RIGHT, WRONG]


def test_of_two_objects_with_equal_ious_the_last_is_taken():
    # as in pycocotools; the second prediction fits the first object alone, and so finds it free
    truths, said = one_class([(0, square(0)), (0, square(4))], [(0, square(2)), (0, square(-1))], [0.9, 0.8])
    matches = matching.match_as_coco(truths, said, num_pictures=1, num_classes=1)
    assert matches.truth[0].tolist() == [1, 0]


def test_the_hundred_best_predictions_of_a_class_count():
    for place, recall in ((99, 1), (100, 0)):
        boxes = [(0, square(0) if i == place else FAR) for i in range(101)]
        truths, said = one_class([(0, square(0))], boxes, np.linspace(1, 0, 101))
        matches = matching.match_as_coco(truths, said, num_pictures=1, num_classes=1)
        found = detection.coco(matches)
        assert (found["AR 100"], found["AP"] > 0) == (recall, recall > 0)


def test_an_area_on_the_border_belongs_to_both_ranges():
    truths, said = one_class([(0, square(0, side=96))], [(0, square(500, side=32))], [0.9])
    matches = matching.match_as_coco(truths, said, num_pictures=1, num_classes=1)
    assert matches.areas == ("all", "small", "medium", "large")
    assert matches.found[:, 0, 0].tolist() == [WRONG, WRONG, WRONG, IGNORED]
    assert matches.is_wanted[:, 0].tolist() == [True, False, True, True]


def test_difficult_objects_count_neither_way_in_voc_and_crowds_neither_way_in_coco():
    boxes = [(0, square(0)), (0, square(100))]
    predictions = [(0, square(0)), (0, square(0)), (0, square(100)), (0, FAR)]
    scores, sizes = [0.9, 0.8, 0.7, 0.6], {"num_pictures": 1, "num_classes": 1}
    truths, said = one_class(boxes, predictions, scores, is_difficult=[True, False])
    voc = matching.match_as_voc(truths, said, **sizes)
    assert as_given(voc, voc.found[0, 0]) == [IGNORED, IGNORED, RIGHT, WRONG]
    assert detection.voc(voc, np.ones((1, 1)))[0] == 1
    truths, said = one_class(boxes, predictions, scores, is_crowd=[True, False])
    coco = matching.match_as_coco(truths, said, **sizes)
    assert as_given(coco, coco.found[0, 0]) == [IGNORED, IGNORED, RIGHT, WRONG]


def test_the_log_average_miss_rate_on_paper():
    # 20 pictures, 4 objects: one found before the first false alarm (.05 a picture), two after it.
    # Of the nine points .01, .018, .032 lie before it and miss 3/4, six after it and miss 1/2.
    # In 100 pictures it is .01 a picture, which the first point allows.
    truths, said = one_class(
        [(i, square(0)) for i in range(4)], [(0, square(0)), (7, FAR), (1, square(0))], [0.9, 0.8, 0.7]
    )
    matches = matching.match_as_coco(truths, said, num_pictures=20, num_classes=2, most=None)
    found = detection.miss_rates(matches, np.ones((1, 20)))[0]
    assert found[0] == pytest.approx(np.exp((3 * np.log(3 / 4) + 6 * np.log(1 / 2)) / 9))
    assert np.isnan(found[1])
    matches = matching.match_as_coco(truths, said, num_pictures=100, num_classes=1, most=None)
    assert detection.miss_rate(matches, np.ones((1, 100)))[0] == pytest.approx(1 / 2)


def test_counting_a_picture_twice_is_having_it_twice():
    truths, predictions, sizes = golden("plain")
    distinct = predictions.scores + 1e-6 * np.arange(len(predictions.scores))  # equal ones are ranked by picture
    predictions = replace(predictions, scores=distinct)
    counts = np.random.default_rng(1).integers(0, 3, sizes["num_pictures"])
    copies = np.repeat(np.arange(len(counts)), counts)  # the picture that each new one shows

    def repeated(one):
        rows = [np.flatnonzero(one.picture == picture) for picture in copies]
        values = {key: column[np.concatenate(rows)] for key, column in vars(one).items()}
        return type(one)(**values | {"picture": np.repeat(np.arange(len(copies)), [len(row) for row in rows])})

    larger = {"num_pictures": len(copies), "num_classes": sizes["num_classes"]}
    for match in (matching.match_as_coco, matching.match_as_voc):
        once = match(truths, predictions, **sizes)
        twice = match(repeated(truths), repeated(predictions), **larger)
        measures = [detection.voc, detection.miss_rate]
        measures += list(detection.COCO_NUMBERS.values()) if match is matching.match_as_coco else []
        for measure in measures:
            found, wanted = measure(once, counts[None].astype(float)), measure(twice, np.ones((1, len(copies))))
            assert_allclose(found, wanted, rtol=0, atol=1e-12, err_msg=str(measure))


def test_intervals_contain_the_number_and_narrow_with_more_pictures():
    rng = np.random.default_rng(3)
    widths = []
    for pictures in (30, 300):
        is_found = rng.random(pictures) < 0.7
        truths, said = one_class(
            [(i, square(0)) for i in range(pictures)],
            [(i, square(0) if is_found[i] else FAR) for i in range(pictures)],
            rng.random(pictures),
        )
        matches = matching.match_as_coco(truths, said, num_pictures=pictures, num_classes=1)
        found = detection.interval(detection.COCO_NUMBERS["AR 100"], matches)
        assert found.low < found.value < found.high
        assert found.value == pytest.approx(is_found.mean())
        widths.append(found.high - found.low)
    # recall here is a share of independent pictures, with a standard error of sqrt(p (1 - p) / N)
    assert widths[1] == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 300), rel=0.2)
    assert widths[0] > 2 * widths[1]


def test_no_predictions_have_zeros_and_no_truths_nothing_to_measure():
    truths, said = one_class([(0, square(0))], [], [])
    sizes = {"num_pictures": 2, "num_classes": 1}
    for match in (matching.match_as_coco, matching.match_as_voc):
        assert detection.voc(match(truths, said, **sizes), np.ones((1, 2)))[0] == 0
    assert detection.coco(matching.match_as_coco(truths, said, **sizes))["AP"] == 0
    truths, said = one_class([], [(0, square(0))], [0.9])
    assert np.isnan(detection.coco(matching.match_as_coco(truths, said, **sizes))["AP"])
    assert np.isnan(detection.voc(matching.match_as_voc(truths, said, **sizes), np.ones((1, 2)))[0])


def test_a_score_that_is_no_number_is_refused_naming_the_picture():
    with pytest.raises(DataError, match="not a number") as failure:
        matching.predictions([0, 1], [0, 0], [square(0)] * 2, [0.5, np.nan], names=["a.jpg", "b.jpg"])
    assert "b.jpg" in str(failure.value)
