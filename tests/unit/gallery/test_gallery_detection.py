"""What the claims about detection measure: each experiment once, tiny; and the parts that could mislead."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from claims import run_to_the_end

from gnomon.gallery import (
    _windows,
    anchor_shapes,
    objects_in_a_cell,
    region_proposals,
    sliding_windows,
    suppression,
)
from gnomon.gallery._convnets import Recipe, started
from gnomon.gallery._regions import regions, segments
from gnomon.gallery._scenes import FIELD, Scenes, average_precision, crowd, scenes
from gnomon.nn.boxes import pairwise_iou

TINY: dict[ModuleType, dict[str, object]] = {
    anchor_shapes: {"PICTURES": 4},
    objects_in_a_cell: {"PICTURES": 4},
    sliding_windows: {"TRAIN": 8, "DEV": 3, "TIMED": 1, "REPEATS": 1},
    suppression: {"TRAIN": 8, "DEV": 3},
    region_proposals: {"TRAIN": 8, "DEV": 3},
}


@pytest.mark.parametrize("module", TINY, ids=lambda module: module.__name__.rpartition(".")[2])
def test_an_experiment_runs_from_scenes_to_verdict_table_and_figure(monkeypatch, module: ModuleType):
    for name, value in TINY[module].items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(_windows, "RECIPE", Recipe(epochs=1, learning_rate=0.02))
    run_to_the_end(module.CLAIM)


@pytest.mark.parametrize("crowding", [0.0, 0.3])
def test_objects_lie_in_the_picture_are_drawn_and_share_no_more_than_they_may(crowding: float):
    drawn = scenes(30, 0, most=4, crowding=crowding)
    most = 0.0
    for picture, boxes, kinds in zip(drawn.pictures, drawn.boxes, drawn.kinds, strict=True):
        own = boxes[kinds >= 0]
        assert float(own.min()) >= 0
        assert float(own.max()) <= 64
        most = max(most, float((pairwise_iou(own, own) - torch.eye(len(own))).max()))
        left, top, right, bottom = own[-1].int().tolist()  # the last is in front
        assert picture[:, (top + bottom) // 2, (left + right) // 2].max() > 90  # brighter than any noise
    assert most <= crowding + 1e-6
    assert crowding == 0 or most > 0.1


def test_detections_that_are_the_objects_have_an_average_precision_of_1():
    drawn = scenes(5, 1)
    assert average_precision(drawn, drawn.boxes, torch.ones(drawn.kinds.shape), drawn.kinds) == 1
    wrong = torch.where(drawn.kinds >= 0, 1 - drawn.kinds, -1)
    assert average_precision(drawn, drawn.boxes, torch.ones(drawn.kinds.shape), wrong) < 0.5


def test_cells_are_cut_off_at_the_border_and_differ_in_size():
    sizes = anchor_shapes.sizes_of(crowd(40, 0))
    assert float(torch.cat(crowd(40, 0)).max()) == FIELD
    assert float(sizes.max()) > 80
    assert float(sizes.median()) == pytest.approx(50, abs=6)


def test_shapes_picked_by_hand_are_those_of_the_paper_at_the_scale_of_the_pictures():
    shapes = anchor_shapes.by_hand() * 600 / FIELD
    torch.testing.assert_close(
        shapes.prod(1).sqrt().round(), torch.tensor([128.0, 256, 512]).double().repeat_interleave(3)
    )
    torch.testing.assert_close(shapes[:3, 0] / shapes[:3, 1], torch.tensor([0.5, 1, 2]).double())


def test_on_one_cell_as_many_objects_are_kept_as_there_are_anchors():
    boxes = torch.tensor([[10.0, 10, 30, 30], [100, 100, 140, 120], [200, 50, 220, 90], [50, 200, 90, 220]]).double()
    anchors = torch.tensor([[20.0, 20], [40, 20], [20, 40]])
    assert objects_in_a_cell.lost_share([boxes], anchors, 1) == pytest.approx(1 / 4)
    assert objects_in_a_cell.lost_share([boxes], anchors, 2) == 0


def test_the_boxes_of_a_search_are_those_whose_contents_were_classified():
    net = started(_windows.window_net(), 0).eval()
    drawn = scenes(1, 0, side=80)
    boxes, found = _windows.search(_windows.slider(net), drawn)
    pictures = _windows.scaled(drawn, 20)  # 64 pixels of 80: windows of 16 are 20 pixels
    count = 25 * 25  # (64 - 16) / 2 + 1 in each direction
    assert boxes[0, -count].tolist() == [0, 0, 20, 20]
    row, column = 7, 11
    window = pictures[:, :, 2 * row : 2 * row + 16, 2 * column : 2 * column + 16]
    place = boxes.shape[1] - count + row * 25 + column
    torch.testing.assert_close(boxes[0, place], torch.tensor([27.5, 17.5, 47.5, 37.5]))
    with torch.no_grad():
        torch.testing.assert_close(found[0, place], net(window)[0].softmax(0), atol=1e-4, rtol=1e-4)


def test_windows_learned_from_show_an_object_only_where_they_cover_it():
    drawn = scenes(6, 2)
    boxes, labels = _windows.drawn_windows(drawn, torch.Generator().manual_seed(0))
    assert set(labels.unique().tolist()) == {-1, 0, 1, 2}
    for i in range(6):
        own = drawn.boxes[i][drawn.kinds[i] >= 0]
        best, which = pairwise_iou(boxes[i], own).max(1)
        shows = labels[i].ne(-1) & labels[i].ne(2)
        assert (best[shows] >= 0.6).all()
        assert torch.equal(labels[i][shows], drawn.kinds[i][which][shows])
        assert (best[labels[i] == 2] < 0.4).all()


def test_a_picture_of_three_colours_has_three_segments_and_their_unions_are_regions_too():
    picture = np.full((40, 40, 3), 20, np.uint8)
    picture[5:20, 5:20] = (200, 60, 60)
    picture[5:20, 20:32] = (60, 60, 200)
    found = segments(picture)
    assert len(np.unique(found[[0, 10, 10], [0, 10, 26]])) == 3
    boxes = regions(picture)
    best = pairwise_iou(torch.tensor([[5.0, 5, 20, 20], [20, 5, 32, 20]]), torch.from_numpy(boxes).float()).amax(1)
    assert (best > 0.75).all()  # smoothing takes a pixel at most at each side


def test_every_object_of_a_scene_is_near_a_region():
    drawn: Scenes = scenes(4, 3)
    proposed = [torch.from_numpy(regions(one.permute(1, 2, 0).numpy())).float() for one in drawn.pictures]
    assert region_proposals.recall(drawn, proposed) == 1
    assert region_proposals.recall(drawn, [one[:0] for one in proposed]) == 0
