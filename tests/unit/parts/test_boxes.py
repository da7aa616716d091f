"""Boxes: from objects to targets, from what a detector finds to answers, errors, average precision and a threshold."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from annotated import coco, voc, voc_object
from torch import nn

import gnomon
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.parts import View
from gnomon.core.settings import from_flat
from gnomon.data.annotated import read_annotated
from gnomon.data.source import Source
from gnomon.parts.annotated import AnnotatedEncoder
from gnomon.parts.boxes import DetectionHead, DetectionJudge
from gnomon.parts.fused_boxes import Seen

JUDGE = DetectionJudge(("disc", "square"), threshold=0.5)
DISC, SQUARE, NONE = 0, 1, -1


class Told(nn.Module):
    """A detector that finds what it is told to; `sizes` is what it was prepared with."""

    def __init__(self, *detections):
        super().__init__()
        self.detections_told, self.sizes = detections, None

    def detections(self, _raw):
        boxes, scores, kinds = zip(*self.detections_told, strict=True)
        return torch.tensor(boxes).float(), torch.tensor(scores), torch.tensor(kinds)

    def prepare(self, sizes):
        self.sizes = sizes


def predicted(*detections, frame=((1.0, 100, 200),), judge=JUDGE):
    model = Told(*detections)
    about = torch.tensor(frame, dtype=torch.float64)
    return judge.predict(model, Seen(model, None, about), {"frame": about})


def batch_of(*pictures):
    """A batch with the truths of pictures, each a list of (left, top, right, bottom, class, flags)."""
    most = max(len(rows) for rows in pictures)
    truth = torch.full((len(pictures), most, 6), -1.0, dtype=torch.float64)
    for number, rows in enumerate(pictures):
        for place, row in enumerate(rows):
            truth[number, place] = torch.tensor(row, dtype=torch.float64)
    return {"truth": truth}


def said(*boxes):
    """One picture's answers."""
    return np.array(boxes, float).reshape(-1, 6)


def table(*pictures, size=(100, 100)):
    """Rows of a table; a picture is its truths and its predictions as JSON has them."""
    names = [f"{number}.png" for number in range(len(pictures))]
    return pl.DataFrame(
        {
            "id": names,
            "target": [json.dumps(drawn) for drawn, _ in pictures],
            "prediction": [json.dumps(found) for _, found in pictures],
            "error": [0.5] * len(pictures),
            "weight": [1.0] * len(pictures),
            "group": pl.Series([None] * len(pictures), dtype=pl.String),
            "width": [size[0]] * len(pictures),
            "height": [size[1]] * len(pictures),
        }
    )


def examples(tree, side=64):
    return read_annotated(Source("memory", "memory", tree=tree), from_flat({}).data, "boxes", side).splits["all"]


# --- answers --------------------------------------------------------------------------------------------------------
def test_boxes_are_given_in_pixels_of_the_picture_as_it_was_annotated():
    found = predicted(([[10.0, 20.0, 30.0, 40.0]], [0.9], [SQUARE]), frame=((0.5, 100, 200),))
    assert found.values[0].tolist() == [[20, 40, 60, 80, SQUARE, 0.9]]
    assert found.columns["width"].tolist() == [200]
    assert found.columns["height"].tolist() == [100]


def test_boxes_end_at_the_edges_of_the_picture_and_empty_ones_are_dropped():
    boxes = [[-5.0, -5.0, 500.0, 500.0], [300.0, 0.0, 400.0, 50.0], [0.0, 0.0, 10.0, 10.0]]
    found = predicted((boxes, [0.9, 0.8, 0.7], [DISC, DISC, DISC]))
    assert found.values[0][:, :4].tolist() == [[0, 0, 200, 100], [0, 0, 10, 10]]


def test_padding_and_boxes_of_hardly_any_score_are_dropped():
    boxes = [[0.0, 0.0, 10.0, 10.0]] * 3
    assert predicted((boxes, [0.9, 0.005, 0.0], [DISC, DISC, NONE])).values[0].shape == (1, 6)


def test_people_get_the_boxes_of_at_least_the_threshold():
    two = ([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]], [0.6, 0.4], [DISC, DISC])
    assert len(predicted(two).values[0]) == 2
    assert len(predicted(two, judge=JUDGE.answering()).values[0]) == 1


def test_answers_and_truths_are_described_with_score_or_flags():
    assert json.loads(JUDGE.describe([said((1, 2, 3, 4.126, SQUARE, 0.98763))])[0]) == [
        [1, 2, 3, 4.13, "square", 0.9876]
    ]
    truths = JUDGE.targets(batch_of([(1, 2, 3, 4, DISC, 3)], []))
    assert [json.loads(text) for text in JUDGE.describe(truths)] == [[[1, 2, 3, 4, "disc", "crowd difficult"]], []]


# --- errors ---------------------------------------------------------------------------------------------------------
def test_the_error_of_a_picture_is_one_minus_f1():
    # two objects; one is found (IoU 9/11), and there is a false alarm: F1 = 2 x 1 / (2 + 2)
    batch = batch_of([(0, 0, 10, 10, DISC, 0), (50, 50, 60, 60, SQUARE, 0)])
    answers = said((0, 1, 10, 11, DISC, 0.9), (80, 80, 90, 90, SQUARE, 0.8))
    assert JUDGE.errors([answers], batch).tolist() == [0.5]


def test_a_box_of_another_class_is_wrong_and_its_object_missed():
    batch = batch_of([(0, 0, 10, 10, DISC, 0)])
    assert JUDGE.errors([said((0, 0, 10, 10, SQUARE, 0.9))], batch).tolist() == [1.0]


def test_boxes_under_the_threshold_do_not_count():
    batch = batch_of([(0, 0, 10, 10, DISC, 0)])
    answers = said((0, 0, 10, 10, DISC, 0.9), (50, 50, 60, 60, DISC, 0.49))
    assert JUDGE.errors([answers], batch).tolist() == [0.0]


@pytest.mark.parametrize("flag", [1, 2])
def test_crowds_and_difficult_objects_count_neither_way(flag):
    batch = batch_of([(0, 0, 10, 10, DISC, flag), (50, 50, 60, 60, DISC, 0)])
    one = said((50, 50, 60, 60, DISC, 0.9))
    both = said((50, 50, 60, 60, DISC, 0.9), (0, 0, 10, 10, DISC, 0.8))
    assert JUDGE.errors([one], batch).tolist() == JUDGE.errors([both], batch).tolist() == [0.0]


def test_an_empty_picture_is_right_if_nothing_is_found():
    batch = batch_of([], [(0, 0, 10, 10, DISC, 0)])
    nothing = said()
    assert JUDGE.errors([nothing, nothing], batch).tolist() == [0.0, 1.0]
    assert JUDGE.errors([said((0, 0, 9, 9, DISC, 0.9)), nothing], batch).tolist() == [1.0, 1.0]


# --- a split --------------------------------------------------------------------------------------------------------
HALF = (
    [[0, 0, 10, 10, "disc", ""], [50, 50, 60, 60, "disc", ""]],
    [[0, 0, 10, 10, "disc", 0.9], [80, 80, 90, 90, "disc", 0.6]],
)  # one of two is found, first: the area under the curve is a half
WHOLE = ([[0, 0, 10, 10, "square", ""]], [[0, 0, 10, 10, "square", 0.8]])


def test_the_error_of_a_split_is_one_minus_the_mean_of_the_classes_precision():
    error = JUDGE.split_error(table(HALF, WHOLE))
    assert error(np.ones(2)) == pytest.approx(1 - (0.5 + 1) / 2)


def test_a_picture_that_counts_twice_is_as_good_as_two():
    counted = JUDGE.split_error(table(HALF, WHOLE))(np.array([2.0, 1.0]))
    assert counted == pytest.approx(JUDGE.split_error(table(HALF, WHOLE, HALF))(np.ones(3)))


def test_where_nothing_is_to_be_found_pictures_are_counted():
    assert JUDGE.split_error(table(([], [[0, 0, 9, 9, "disc", 0.9]]))) is None


def test_the_metrics_have_their_values_and_intervals_around_them():
    found = JUDGE.metrics(Evaluation("dev", SHARE, table(HALF, WHOLE, HALF, WHOLE)))
    by_hand = {
        "mAP@0.5": 0.75, "AP@0.5 of disc": 0.5, "AP@0.5 of square": 1.0, "precision": 4 / 6, "recall": 4 / 6,
        "F1": 4 / 6, "COCO AP50": (51 / 101 + 1) / 2, "COCO AR 100": 0.75,
    }  # fmt: skip
    assert {name: found[name].value for name in by_hand} == pytest.approx(by_hand)
    assert all(one.low <= one.value <= one.high for one in found.values())
    assert "COCO AP large" not in found  # there are none
    assert len([name for name in found if name.startswith("COCO")]) == 12 - 4
    assert [name for name in found if JUDGE.less_is_better(name)] == ["log-average miss rate"]


def test_a_split_of_json_is_not_one_of_classes():
    rows = table(HALF, WHOLE).with_columns(error=pl.Series([1.0, 0.0]))
    assert not Evaluation("dev", SHARE, rows).has_classes


# --- the threshold --------------------------------------------------------------------------------------------------
def scored(*scores):
    """One picture: the first of two objects is found by the first box, the second by the last; others are wrong."""
    places = [0, *(200 + 20 * number for number in range(len(scores) - 2)), 50]
    drawn = [[0, 0, 10, 10, "disc", ""], [50, 0, 60, 10, "disc", ""]]
    found = [[left, 0, left + 10, 10, "disc", score] for left, score in zip(places, scores, strict=True)]
    return Evaluation("dev", SHARE, table((drawn, found)))


def test_the_threshold_lies_below_the_last_score_that_helps_f1():
    # with both boxes F1 is 1; of four boxes, two wrong, taking the first alone gives 2/3 and taking all 4/6: the first
    assert JUDGE.calibrate(scored(0.9, 0.3)).threshold == pytest.approx(0.15)
    assert JUDGE.calibrate(scored(0.9, 0.5, 0.4, 0.2)).threshold == pytest.approx(0.7)


def test_the_threshold_is_chosen_for_what_the_user_names():
    dev = scored(0.9, 0.5, 0.2)  # all three: precision 2/3, recall 1
    assert replace(JUDGE, threshold_for="recall@precision>=0.9").calibrate(dev).threshold == pytest.approx(0.7)
    assert replace(JUDGE, threshold_for="recall@precision>=0.6").calibrate(dev).threshold == pytest.approx(0.1)
    assert replace(JUDGE, threshold_for="precision@recall>=0.9").calibrate(dev).threshold == pytest.approx(0.1)


def test_the_threshold_stays_where_nothing_is_right():
    assert JUDGE.calibrate(Evaluation("dev", SHARE, table((HALF[0], [])))) == JUDGE


# --- targets --------------------------------------------------------------------------------------------------------
def test_targets_are_scaled_with_the_picture_and_flagged_objects_are_ignored():
    tree = voc(voc_object("cell", (1, 1, 20, 15)), voc_object("cell", (21, 1, 40, 30), difficult=1))
    few = examples(tree, side=80)  # pictures of 40x30 at their size: the network sees 64x32, at most
    settings = from_flat({"image_size": 64})
    encoder, head = AnnotatedEncoder.fit(few, settings), DetectionHead.fit(few, settings)
    columns = {**encoder.encode(few), **head.encode(few)}
    batch = head.collate(encoder.collate(columns, torch.arange(2)), columns, torch.arange(2))
    scale = min(encoder.height / 30, encoder.width / 40)
    assert batch["kinds"].tolist() == [[0, -2], [0, -1]]
    torch.testing.assert_close(batch["boxes"][0, 0], torch.tensor([0, 0, 20 * scale, 15 * scale]).float())
    assert batch["boxes"][1, 1].tolist() == [0, 0, 0, 0]
    assert batch["truth"][0, 1].tolist() == [20, 0, 40, 30, 0, 2]
    assert head.scale == pytest.approx(scale)


def test_a_detector_is_told_the_sizes_that_it_sees():
    few, model = examples(voc(voc_object("cell", (1, 1, 20, 15)))), Told()
    head = DetectionHead.fit(few, from_flat({"image_size": 80}))
    assert head.build(lambda _: model) is model
    np.testing.assert_allclose(model.sizes[0], np.array([20, 15]) * head.scale, atol=0.01)
    assert model.sizes.dtype == torch.float64


def test_classes_are_told_by_name():
    head = DetectionHead(("plate", "cell"), ((1.0, 1.0),), 1.0)
    few = examples(coco([{"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}]))
    assert few.class_names == ("cell", "plate")
    assert head.encode(few)["objects"].values[0].tolist() == [0, 0, 9, 9, 1, 0]


def test_a_class_that_training_never_had_is_an_error_not_a_skip():
    head = DetectionHead(("plate",), ((1.0, 1.0),), 1.0)
    with pytest.raises(gnomon.GnomonError, match=r"class 'cell' is not among the 1 classes .*plate"):
        head.encode(examples(voc(voc_object("cell", (1, 1, 20, 15)))))


def test_a_metric_that_is_none_of_boxes_is_refused():
    with pytest.raises(gnomon.GnomonError, match=r"metric=balanced_accuracy .* use f1, recall@precision"):
        DetectionHead.fit(examples(voc(voc_object("cell", (1, 1, 9, 9)))), from_flat({"metric": "balanced_accuracy"}))


# --- what people see ------------------------------------------------------------------------------------------------
def test_boxes_on_a_view_are_those_of_its_pixels():
    view = View(image=np.zeros((50, 100), np.uint8))  # half of the picture's size
    found = [[20, 40, 60, 80, "square", 0.9], [0, 0, 9, 9, "disc", 0.2]]
    drawn = [[20, 40, 60, 80, "square", "difficult"]]
    row = {"width": 200, "height": 100, "prediction": json.dumps(found), "target": json.dumps(drawn)}
    drawn = JUDGE.on_view(view, row, "prediction")
    assert drawn.boxes.tolist() == [[10, 20, 30, 40]]
    assert (list(drawn.captions), drawn.labels.tolist()) == (["square 0.90"], [SQUARE])
    assert list(JUDGE.on_view(view, row, "target").captions) == ["square (difficult)"]


def test_answers_are_written_with_a_row_for_each_box():
    rows = JUDGE.answer_rows(
        pl.DataFrame({"id": ["a.png", "b.png"], "prediction": ['[[1, 2, 3, 4, "disc", 0.5]]', "[]"]})
    )
    assert rows.rows(named=True) == [
        {"file": "a.png", "class": "disc", "left": 1, "top": 2, "right": 3, "bottom": 4, "score": 0.5}
    ]
