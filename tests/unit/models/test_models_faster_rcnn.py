"""Faster R-CNN: which regions are learned from, what is drawn and what is not, a training on four pictures."""

from __future__ import annotations

import pytest
import torch

from gnomon.core import found
from gnomon.core.family import PictureInputs, Wanted
from gnomon.gallery._scenes import average_precision, scenes
from gnomon.models.faster_rcnn import FasterRCNN, Outputs, matched
from gnomon.nn.deltas import to_deltas
from gnomon.nn.initialise import initialise

INPUTS = PictureInputs(3, 64, 64, (0.5,) * 3, (0.25,) * 3)
OBJECT = torch.tensor([[[10.0, 10.0, 30.0, 30.0]]])


def built(num_classes: int = 2, **own: object) -> FasterRCNN:
    family = found.family("faster-rcnn")
    torch.manual_seed(0)
    net = family.build(Wanted("faster-rcnn", INPUTS, family.settings(**own), (), num_classes))
    assert isinstance(net, FasterRCNN)
    initialise(net, "he", torch.Generator().manual_seed(0))
    return net


@pytest.fixture(scope="module")
def net() -> FasterRCNN:
    net = built(anchors=2, proposals=20)
    net.prepare(torch.tensor([[20.0, 20.0], [20.0, 20.0], [30.0, 12.0]]))
    return net.eval()


@pytest.fixture(scope="module")
def outputs(net: FasterRCNN) -> Outputs:
    with torch.no_grad():
        found: Outputs = net(scenes(3, 1).pictures)
    return found


def test_an_anchor_is_an_objects_where_it_fits_best_even_if_it_hardly_fits():
    regions = torch.tensor([[[0.0, 0.0, 20.0, 20.0], [12.0, 12.0, 32.0, 32.0], [40.0, 40.0, 60.0, 60.0]]])
    objects = torch.tensor([[[10.0, 10.0, 30.0, 30.0], [55.0, 55.0, 64.0, 64.0]]])
    its = matched(regions, objects, torch.tensor([[0, 1]]))
    # the first shares 10x10 of 700, the second 18x18 of 476, the third 5x5 of 456 with the small object
    assert its.overlap[0].tolist() == pytest.approx([100 / 700, 324 / 476, 25 / 456])
    assert its.is_best[0].tolist() == [False, True, True]
    assert its.which[0].tolist() == [0, 0, 1]


def test_regions_in_an_object_that_does_not_count_are_excused():
    regions = torch.tensor([[[12.0, 12.0, 20.0, 20.0], [25.0, 25.0, 45.0, 45.0]]])  # inside; 5x5 of 20x20 inside
    its = matched(regions, OBJECT, torch.tensor([[-2]]))
    assert its.is_excused[0].tolist() == [True, False]
    assert its.overlap[0].tolist() == [-1, -1]
    assert not its.is_best.any()


def test_in_evaluation_the_same_regions_are_learned_from_and_in_training_drawn_ones(net: FasterRCNN, outputs: Outputs):
    few = scenes(3, 1)

    def losses(seed: int) -> list[float]:
        torch.manual_seed(seed)
        return net.losses(outputs, few.boxes, few.kinds).tolist()

    assert losses(0) == losses(1)
    net.train()
    try:
        assert losses(0) == losses(0)
        assert losses(0) != losses(1)
    finally:
        net.eval()


@pytest.mark.parametrize("is_training", [False, True])
def test_at_most_a_share_of_what_is_learned_from_holds_objects_and_the_rest_is_empty(
    net: FasterRCNN, is_training: bool
):
    is_object = torch.zeros(2, 50, dtype=torch.bool)
    is_object[0, ::2], is_object[1, 3] = True, True
    is_empty = ~is_object
    is_empty[1, 10:] = False  # neither
    net.train(is_training)
    index, is_chosen = net._chosen(is_object, is_empty, 16, 0.25)
    net.eval()
    assert is_object.gather(1, index)[0].sum() == 4
    assert is_chosen[0].all()
    assert sorted(index[1][is_chosen[1]].tolist()) == list(range(10))  # the object and all that is empty
    assert len(set(index[0].tolist())) == 16


def test_a_pictures_loss_does_not_depend_on_the_others_nor_on_padding(net: FasterRCNN, outputs: Outputs):
    few = scenes(3, 1)
    both = net.losses(outputs, few.boxes, few.kinds)
    for i in range(3):
        alone = Outputs(*(one[i : i + 1] for one in outputs))
        count = int((few.kinds[i] >= 0).sum())
        torch.testing.assert_close(
            net.losses(alone, few.boxes[i : i + 1, :count], few.kinds[i : i + 1, :count]), both[i : i + 1]
        )


def test_a_picture_without_objects_has_a_finite_loss_and_gradient(net: FasterRCNN):
    picture = scenes(1, 2).pictures
    loss = net.losses(net(picture), torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.long))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert all(one.grad.isfinite().all() for one in net.parameters() if one.grad is not None)
    net.zero_grad()


def test_proposals_lie_in_the_picture_and_are_those_the_first_stage_finds_likeliest(net: FasterRCNN, outputs: Outputs):
    assert outputs.proposals.shape == (3, 20, 4)
    assert float(outputs.proposals.min()) >= 0
    assert float(outputs.proposals.max()) <= 64
    objectness = torch.full_like(outputs.objectness[:1], -5.0)
    objectness[0, 11] = 5.0
    looked = torch.zeros(1, 2, 4, 4)
    looked[0, 11 % 2, 11 // 2 // 4, 11 // 2 % 4] = 1.0  # anchors of a place are next to one another, then columns
    assert torch.equal(looked.permute(0, 2, 3, 1).flatten(1) > 0, objectness > 0)
    anchors = net._anchors_of(torch.zeros(1, 1, 4, 4))
    # place 5 is row 1, column 1: the middle is 24, 24; the larger of the anchors, 20x20, is the second
    assert anchors[11].tolist() == [14.0, 14.0, 34.0, 34.0]


def test_an_object_that_no_anchor_fits_well_still_makes_one_of_them_likelier(net: FasterRCNN, outputs: Outputs):
    objectness = torch.zeros_like(outputs.objectness[:1], requires_grad=True)
    alone = Outputs(outputs.map[:1], objectness, outputs.moves[:1], outputs.proposals[:1])
    small = torch.tensor([[[21.0, 21.0, 29.0, 28.0]]])  # 56 pixels: at most 56 / 400 with an anchor of 20x20
    net.losses(alone, small, torch.tensor([[1]])).sum().backward()
    assert objectness.grad is not None
    wanted = (objectness.grad < 0).nonzero()[:, 1]  # descent makes these likelier
    anchors = net._anchors_of(outputs.map)[wanted]
    assert len(anchors) >= 1
    assert (anchors[:, :2] <= 21).all()
    assert (anchors[:, 2:] >= 28).all()


def test_each_class_has_a_box_of_its_own(net: FasterRCNN, outputs: Outputs, monkeypatch: pytest.MonkeyPatch):
    region, boxes = outputs.proposals[:1, :1], torch.tensor([[5.0, 5.0, 25.0, 25.0], [30.0, 30.0, 60.0, 50.0]])
    moves = (to_deltas(boxes, region[0, 0]) * net.scales).view(1, 1, 2, 4)
    logits = torch.tensor([[[2.0, 1.0, 0.0]]])
    monkeypatch.setattr(net, "_answers", lambda _maps, _regions: (logits, moves))
    found, scores, kinds = net.detections(outputs._replace(map=outputs.map[:1], proposals=region))
    assert kinds[0, :3].tolist() == [0, 1, -1]
    torch.testing.assert_close(found[0, :2], boxes)
    torch.testing.assert_close(scores[0, :2], logits.softmax(-1)[0, 0, :2])


def test_it_learns_four_pictures_by_heart():
    few = scenes(4, 0)
    net = built(anchors=3, proposals=30)
    net.prepare((few.boxes[..., 2:] - few.boxes[..., :2])[few.kinds >= 0])
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    net.train()
    for _ in range(50):
        loss = net.losses(net(few.pictures), few.boxes, few.kinds).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    with torch.no_grad():
        found = net.detections(net(few.pictures))
    assert average_precision(few, *found) > 0.95
