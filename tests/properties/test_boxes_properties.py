"""What holds for any boxes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.nn import boxes
from gnomon.reference import boxes as plain

MEASURES = [(boxes.iou, 0.0), (boxes.giou, -1.0), (boxes.diou, -1.0), (boxes.ciou, -1.5)]  # and the lowest value
few = settings(max_examples=40)


@st.composite
def many(draw, most=30):
    """(N, 4): on a coarse grid, so that sides meet, boxes are equal, and some have no area."""
    count = draw(st.integers(1, most))
    steps = draw(st.sampled_from([1.0, 0.37]))
    numbers = st.integers(0, 12)
    rows = [
        [left, top, left + width, top + height]
        for left, top, width, height in (tuple(draw(numbers) for _ in range(4)) for _ in range(count))
    ]
    return torch.tensor(rows, dtype=torch.float64) * steps


@few
@given(many(8), st.floats(-50, 50), st.floats(0.01, 100))
def test_overlaps_are_symmetric_in_range_and_do_not_depend_on_place_and_unit(found, shift, scale):
    for measure, lowest in MEASURES:
        values = measure(found[:, None], found)
        assert torch.allclose(values, values.T, atol=1e-12)
        assert ((values >= lowest - 1e-12) & (values <= 1 + 1e-12)).all()
        assert torch.allclose(measure(found[:, None] * scale, found * scale), values, atol=1e-9)
        if (boxes.area(found) > 0).all():  # shifted by a fraction, rounding can give a box of no area some
            assert torch.allclose(measure(found[:, None] + shift, found + shift), values, atol=1e-9)
    assert torch.equal(boxes.pairwise_iou(found, found), boxes.iou(found[:, None], found))


@few
@given(many(8))
def test_the_variants_are_at_most_iou_and_one_on_the_box_itself(found):
    overlap = boxes.iou(found[:, None], found)
    for measure, _ in MEASURES[1:]:
        assert (measure(found[:, None], found) <= overlap + 1e-12).all()
        assert torch.allclose(measure(found, found), (boxes.area(found) > 0).double())


@few
@given(many(), st.data())
def test_nms_keeps_what_the_plain_loop_keeps_of_any_boxes(found, data):
    scores = torch.tensor(
        data.draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=len(found), max_size=len(found)))
    )
    threshold = data.draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    wanted = plain.nms(found.numpy(), scores.numpy(), threshold=threshold)
    assert boxes.nms(found, scores, threshold=threshold).tolist() == wanted


@few
@given(many(12))
def test_soft_nms_with_a_narrow_penalty_keeps_the_scores_of_boxes_that_touch_nothing(found):
    scores = torch.linspace(1, 0.5, len(found), dtype=torch.float64)
    kept, lowered = boxes.soft_nms(found, scores, sigma=0.5, lowest=0)
    alone = boxes.pairwise_iou(found, found).fill_diagonal_(0).sum(1) == 0
    back = dict(zip(kept.tolist(), lowered.tolist(), strict=True))
    assert sorted(back) == list(range(len(found)))
    assert all(back[i] == scores[i].item() for i in np.flatnonzero(alone.numpy()))
