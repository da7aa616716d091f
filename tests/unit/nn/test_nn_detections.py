"""The choice of detections against the plain loop of reference/boxes.py, picture by picture and class by class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnomon.nn.detections import best_detections
from gnomon.reference import boxes as reference


@pytest.mark.parametrize("of_each_class", [False, True])
def test_each_class_of_each_picture_is_suppressed_on_its_own_and_the_best_are_first(of_each_class):
    generator = torch.Generator().manual_seed(3)
    shape = (3, 40, 2, 4) if of_each_class else (3, 40, 4)
    boxes = torch.rand(shape, generator=generator) * 60
    boxes[..., 2:] += boxes[..., :2]
    scores = torch.rand(3, 40, 2, generator=generator)
    found = best_detections(boxes, scores, overlap=0.4, least=0.3, most=12)
    for picture in range(3):
        expected = []
        for label in range(2):
            own = (boxes[picture, :, label] if of_each_class else boxes[picture]).double().numpy()
            score = scores[picture, :, label].double().numpy()
            rows = np.flatnonzero(score >= 0.3)
            kept = rows[reference.nms(own[rows], score[rows], threshold=0.4)]
            expected += [(score[i], label, own[i].tolist()) for i in kept]
        expected = sorted(expected, key=lambda one: -one[0])[:12]
        got = [one[picture] for one in found]
        assert got[1].tolist() == pytest.approx([one[0] for one in expected])
        assert got[2].tolist() == [one[1] for one in expected]
        np.testing.assert_allclose(got[0].numpy(), [one[2] for one in expected], rtol=1e-6)


def test_a_picture_without_a_score_worth_showing_is_filled_with_nothing():
    scores = torch.tensor([[[0.9]], [[0.001]]])
    boxes, found, kinds = best_detections(torch.ones(2, 1, 4).cumsum(2), scores, overlap=0.5, most=3)
    assert found.tolist() == [[pytest.approx(0.9), 0, 0], [0, 0, 0]]
    assert kinds.tolist() == [[0, -1, -1], [-1, -1, -1]]
    assert boxes[1].abs().sum() == 0
