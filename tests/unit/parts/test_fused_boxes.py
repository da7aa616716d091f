"""Several detectors as one: boxes of one object become one, and what only one of them finds counts less."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.parts.boxes import DetectionJudge
from gnomon.parts.fused_boxes import Batches, Seen, fused, joined

FRAME = torch.tensor([[1.0, 100, 100]], dtype=torch.float64)


def rows(*boxes):
    return np.array(boxes, float).reshape(-1, 6)


class Told(nn.Module):
    def __init__(self, boxes, scores, kinds, loss=0.0):
        super().__init__()
        self.told, self.loss = (torch.tensor(boxes).float(), torch.tensor(scores), torch.tensor(kinds)), loss

    def detections(self, _raw):
        return self.told

    def losses(self, _raw, boxes, kinds):
        return boxes.flatten(1).sum(1) * 0 + self.loss + boxes[:, 0, 2]


def test_two_boxes_of_one_object_become_their_mean_weighted_by_score():
    # by pencil: left (0 x .6 + 4 x .2) / .8 = 1; score (.6 + .2) / 2
    found = fused(rows((0, 0, 40, 40, 1, 0.6), (4, 0, 44, 40, 1, 0.2)), 2)
    np.testing.assert_allclose(found, [[1, 0, 41, 40, 1, 0.4]])


def test_a_box_that_one_of_two_models_finds_counts_half():
    assert fused(rows((0, 0, 40, 40, 1, 0.6)), 2)[0, 5] == pytest.approx(0.3)
    assert fused(rows((0, 0, 40, 40, 1, 0.6)), 1)[0, 5] == pytest.approx(0.6)


def test_other_classes_and_other_places_stay_apart_and_the_best_comes_first():
    found = fused(rows((0, 0, 40, 40, 1, 0.3), (0, 0, 40, 40, 0, 0.6), (50, 0, 90, 40, 1, 0.9)), 1)
    assert found[:, 4:].tolist() == [[1, 0.9], [0, 0.6], [1, 0.3]]
    assert fused(rows(), 3).shape == (0, 6)


def test_models_that_agree_answer_as_one_of_them():
    one = rows((0, 0, 40, 40, 1, 0.7), (50, 50, 90, 90, 0, 0.4))
    np.testing.assert_allclose(fused(np.concatenate([one] * 5), 5), one)


def test_models_that_see_other_sizes_are_joined_in_pixels_of_the_first():
    judge = DetectionJudge(("a", "b"))
    small = Seen(Told([[[5.0, 5.0, 25.0, 25.0]]], [[0.8]], [[1]]), None, FRAME * torch.tensor([0.5, 1, 1]))
    large = Seen(Told([[[10.0, 10.0, 50.0, 50.0]]], [[0.8]], [[1]]), None, FRAME)
    outputs = judge.averaged([(judge, large), (judge, small)])
    found = judge.predict(nn.Identity(), outputs, {"frame": FRAME})
    assert found.values[0].tolist() == [[10, 10, 50, 50, 1, 0.8]]
    again = judge.predict(nn.Identity(), judge.averaged([(judge, small), (judge, large)]), {"frame": small.frame})
    assert again.values[0].tolist() == found.values[0].tolist()


def test_batches_of_one_detector_are_one_batch_of_it():
    first = Seen(Told([[[0.0, 0.0, 9.0, 9.0]]], [[0.9]], [[0]], loss=1.0), None, FRAME)
    second = Seen(Told([[[0.0, 0.0, 5.0, 5.0], [1.0, 1.0, 8.0, 8.0]]], [[0.8, 0.7]], [[1, 0]], loss=2.0), None, FRAME)
    whole = joined([first, second])
    assert isinstance(whole.model, Batches)
    boxes, scores, kinds = whole.model.detections(None)
    assert (boxes.shape, scores.tolist()[0][1], kinds.tolist()) == ((2, 2, 4), 0, [[0, -1], [1, 0]])
    losses = whole.model.losses(None, torch.tensor([[[0.0, 0, 3, 3]], [[0.0, 0, 4, 4]]]), torch.zeros(2, 1))
    assert losses.tolist() == [4.0, 6.0]
    assert joined([first]) is first
