"""The lectures' detector: its loss against the NumPy reference, its grid on paper, a training on four pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.gallery._scenes import average_precision, scenes
from gnomon.models.yolo_notes import YoloNotes, assign
from gnomon.nn.initialise import initialise
from gnomon.reference import yolo as reference

INPUTS = PictureInputs(3, 64, 64, (0.5,) * 3, (0.25,) * 3)


def built(num_classes: int = 2, **own: object) -> YoloNotes:
    family = found.family("yolo-notes")
    torch.manual_seed(0)
    net = family.build(Wanted("yolo-notes", INPUTS, family.settings(**own), (), num_classes))
    assert isinstance(net, YoloNotes)
    initialise(net, "he", torch.Generator().manual_seed(0))
    return net


@pytest.fixture(scope="module")
def net() -> YoloNotes:
    """4x4 cells of 16 pixels, 2 anchors, 3 classes."""
    net = built(3, anchors=2)
    net.anchors.copy_(torch.tensor([[12.0, 18.0], [30.0, 20.0]]))
    return net.eval()


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """y of two pictures, boxes of up to six objects, kinds."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(2, 4, 4, 2, 8, generator=generator)
    corner = torch.rand(2, 6, 2, generator=generator) * 45
    boxes = torch.cat([corner, corner + 4 + torch.rand(2, 6, 2, generator=generator) * 30], 2)
    kinds = torch.randint(0, 3, (2, 6), generator=generator)
    kinds[1, 4:] = -1
    return y, boxes, kinds


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradient_are_those_of_the_reference(net: YoloNotes, seed: int):
    y, boxes, kinds = drawn(seed)
    y.requires_grad_()
    losses = net.losses(y, boxes, kinds)
    losses.sum().backward()
    assert y.grad is not None
    for picture, count in enumerate([6, 4]):
        own = boxes[picture, :count].double().numpy()
        expected, gradient = reference.loss(
            y[picture].detach().double().numpy(), own, kinds[picture, :count].tolist(), net.anchors.double().numpy(),
            stride=16,
        )  # fmt: skip
        assert losses[picture].item() == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(y.grad[picture], gradient, atol=1e-5)


def test_the_references_gradient_is_its_slope():
    generator = np.random.default_rng(0)
    y, anchors = generator.normal(size=(2, 2, 2, 7)), np.array([[10.0, 6.0], [8.0, 14.0]])
    boxes, labels = np.array([[2.0, 3.0, 11.0, 9.0], [17.0, 5.0, 25.0, 30.0], [3.0, 2.0, 12.0, 12.0]]), [0, 1, 1]
    _, gradient = reference.loss(y, boxes, labels, anchors, stride=16)
    for place in np.ndindex(*y.shape):
        step = np.zeros_like(y)
        step[place] = 1e-6
        above, below = (reference.loss(y + sign * step, boxes, labels, anchors, stride=16)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-6, abs=1e-6)


def test_two_objects_in_one_cell_are_both_kept_where_there_are_two_anchors_and_a_third_is_lost():
    # midpoints 24, 24 (cell 1, 1 of 16 pixels): a wide one, a tall one, and another wide one
    boxes = torch.tensor([[[4.0, 14.0, 44.0, 34.0], [14.0, 4.0, 34.0, 44.0], [5.0, 14.0, 43.0, 34.0]]])
    anchors = torch.tensor([[20.0, 40.0], [40.0, 20.0]])  # tall, wide
    its = assign(boxes[:, :2], torch.tensor([[0, 1]]), anchors, 4, 4, 16)
    cell = 1 * 4 + 1
    assert sorted(zip(its.place.tolist(), its.kind.tolist(), strict=True)) == [(2 * cell, 1), (2 * cell + 1, 0)]
    assert len(assign(boxes, torch.tensor([[0, 1, 2]]), anchors, 4, 4, 16).place) == 2
    assert len(assign(boxes[:, :2], torch.tensor([[0, 1]]), anchors[:1], 4, 4, 16).place) == 1


def test_of_two_objects_of_one_shape_the_second_gets_the_anchor_that_is_left():
    boxes = torch.tensor([[[4.0, 14.0, 44.0, 34.0], [5.0, 14.0, 43.0, 34.0]]])
    anchors = torch.tensor([[20.0, 40.0], [40.0, 20.0]])
    its = assign(boxes, torch.tensor([[0, 1]]), anchors, 4, 4, 16)
    assert sorted(zip((its.place % 2).tolist(), its.kind.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_what_the_loss_asks_for_decodes_to_the_objects_own_boxes(net: YoloNotes):
    boxes = torch.tensor([[[3.0, 5.0, 20.0, 30.0], [30.0, 40.0, 64.0, 60.0]]])
    its = assign(boxes, torch.tensor([[0, 1]]), net.anchors, 4, 4, 16)
    x, y, height, width = net._wanted(its, 4).unbind(1)
    answer = torch.zeros(1, 32, 8)
    logit = torch.stack([x, y], 1).logit()
    answer[0, its.place, 1:5] = torch.cat([logit, height[:, None], width[:, None]], 1)
    decoded = net.decode(answer.view(1, 4, 4, 2, 8)).flatten(1, 3)[0, its.place]
    torch.testing.assert_close(decoded, boxes[0])


def test_untrained_the_answer_of_a_cell_is_a_box_of_the_anchors_size_in_its_middle(net: YoloNotes):
    boxes = net.decode(torch.zeros(1, 4, 4, 2, 8))
    # row 2, column 1: the middle is 24, 40; the second anchor is 30 wide and 20 high
    assert boxes[0, 2, 1, 1].tolist() == [9.0, 30.0, 39.0, 50.0]


def test_an_object_that_does_not_count_asks_nothing_of_its_place_nor_of_boxes_in_it(net: YoloNotes):
    y = torch.zeros(1, 4, 4, 2, 8, requires_grad=True)  # boxes of the anchors' sizes in the middle of each cell
    crowd = torch.tensor([[[0.0, 0.0, 64.0, 32.0]]])  # the upper half
    (gradient,) = torch.autograd.grad(net.losses(y, crowd, torch.tensor([[-2]])).sum(), y)
    assert (gradient[:, :2] == 0).all()
    assert (gradient[:, 2:, ..., 0] > 0).all()
    (without,) = torch.autograd.grad(net.losses(y, crowd, torch.tensor([[-1]])).sum(), y)
    assert (without[..., 0] > 0).all()
    small = torch.tensor([[[22.0, 22.0, 26.0, 26.0]]])  # no box of an anchor's size lies in it
    (gradient,) = torch.autograd.grad(net.losses(y, small, torch.tensor([[-2]])).sum(), y)
    assert (gradient[..., 0] == 0).nonzero().tolist() == [[0, 1, 1, 0]]  # its cell, and the smaller anchor


def test_a_picture_without_objects_has_a_finite_loss_and_no_other_picture_changes_it(net: YoloNotes):
    y, boxes, kinds = drawn(7)
    kinds[1] = -1
    both = net.losses(y, boxes, kinds)
    torch.testing.assert_close(net.losses(y[:1], boxes[:1], kinds[:1]), both[:1])
    torch.testing.assert_close(net.losses(y[1:], boxes[1:, :0], kinds[1:, :0]), both[1:])
    assert both.isfinite().all()


def test_anchors_come_from_the_boxes_of_train_and_are_saved_with_the_weights():
    net = built(anchors=2)
    net.prepare(torch.tensor([[10.0, 10.0]] * 5 + [[40.0, 20.0]] * 5))
    assert net.state_dict()["anchors"].tolist() == [[10, 10], [40, 20]]
    net.prepare(torch.zeros(0, 2))  # no boxes at all: squares
    assert (net.anchors[:, 0] == net.anchors[:, 1]).all()


def test_a_backbone_without_maps_is_refused():
    with pytest.raises(
        UsageError, match=r"backbone=lenet5 has no maps to find objects in\. Fix: use one of .*resnet18"
    ):
        built(backbone="lenet5")


def test_it_learns_four_pictures_by_heart():
    few = scenes(4, 0)
    net = built(anchors=2)
    sizes = (few.boxes[..., 2:] - few.boxes[..., :2])[few.kinds >= 0]
    net.prepare(sizes)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    net.train()
    for _ in range(30):
        loss = net.losses(net(few.pictures), few.boxes, few.kinds).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    with torch.no_grad():
        found = net.detections(net(few.pictures))
    assert average_precision(few, *found) > 0.95
