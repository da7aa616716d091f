"""One-stage detectors: losses and detections of outputs made by hand, and objects learnt by heart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.metrics import detection, matching
from gnomon.models import detector
from gnomon.models.detector import Outputs
from gnomon.nn.initialise import initialise

INPUTS = PictureInputs(3, 64, 96, (0.5,) * 3, (0.3,) * 3)


def built(num_classes=2, *, inputs=INPUTS, seed=0, **own):
    torch.manual_seed(seed)
    family = found.family("detector")
    settings = family.settings.model_validate({"backbone": "mobilenet-v2", "pyramid_width": 16, **own})
    model = family.build(Wanted("detector", inputs, settings, (), num_classes))
    initialise(model, "he", torch.Generator().manual_seed(seed))
    return model


def pictures(count, *, seed=0, size=(64, 96)):
    return torch.randint(0, 256, (count, 3, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def outputs_of(logits, boxes, places):
    return Outputs(torch.tensor(logits), torch.tensor(boxes), torch.tensor(places))


ONE_PLACE = [[[8.0, 8.0, 16.0]]]


def test_places_lie_in_the_middle_of_the_cells_of_strides_8_16_and_32():
    outputs = built().eval()(pictures(2))
    places = outputs.places[1]
    assert outputs.logits.shape == (2, 8 * 12 + 4 * 6 + 2 * 3, 2)
    assert places[:2].tolist() == [[4, 4, 8], [12, 4, 8]]
    assert places[12].tolist() == [4, 12, 8]
    assert places[-1].tolist() == [80, 48, 32]
    is_inside = (outputs.boxes[..., :2] < places[:, :2]) & (outputs.boxes[..., 2:] > places[:, :2])
    assert is_inside.all()


def test_before_training_every_score_is_a_hundredth_and_every_box_four_strides_wide():
    outputs = built().eval()(pictures(2))
    assert_close(outputs.logits.sigmoid(), torch.full_like(outputs.logits, 0.01), atol=0.005, rtol=0)
    widths = outputs.boxes[..., 2] - outputs.boxes[..., 0]
    assert_close(widths / outputs.places[..., 2], torch.full_like(widths, 4.0), atol=0.5, rtol=0)


def test_the_loss_of_one_object_at_one_place_is_that_of_the_formulas():
    # on paper: boxes of 10x10 and 10x20 share 100 of 200; the quality is that IoU, 1/2, and GIoU the same
    outputs = outputs_of([[[0.0, math.log(3)]]], [[[0.0, 0.0, 10.0, 10.0]]], ONE_PLACE)
    loss = built().losses(outputs, torch.tensor([[[0.0, 0.0, 10.0, 20.0]]]), torch.tensor([[1]]))
    scored = (0.75 - 0.5) ** 2 * -(0.5 * math.log(0.75) + 0.5 * math.log(0.25))
    other_class = 0.5**2 * -math.log(0.5)
    misplaced = 2 * 0.5 * (1 - 0.5)
    assert loss.item() == pytest.approx(scored + other_class + misplaced)


def test_a_class_counts_by_the_root_of_how_often_it_is_there():
    # four places, all right about their box and all with a score of 1/2: three objects of class 0, one of class 1
    boxes = [[[20.0 * i, 0.0, 20.0 * i + 10, 10.0] for i in range(4)]]
    places = [[[20.0 * i + 5, 5.0, 8.0] for i in range(4)]]
    outputs = outputs_of([[[0.0, 0.0]] * 4], boxes, places)
    loss = built().losses(outputs, torch.tensor(boxes), torch.tensor([[0, 0, 1, 0]]))
    each = 0.25 * math.log(2)  # of a score that is to be 1 or 0
    assert loss.item() == pytest.approx(4 * each / math.sqrt(3 * 4) + 4 * each / math.sqrt(1 * 4))


def test_a_class_that_is_not_there_counts_as_part_of_the_picture():
    boxes = [[[20.0 * i, 0.0, 20.0 * i + 10, 10.0] for i in range(4)]]
    outputs = outputs_of([[[0.0, 0.0]] * 4], boxes, [[[20.0 * i + 5, 5.0, 8.0] for i in range(4)]])
    loss = built().losses(outputs, torch.tensor(boxes), torch.tensor([[0, 0, 0, 0]]))
    assert loss.item() == pytest.approx(2 * 4 * 0.25 * math.log(2) / 4)


def test_a_picture_without_objects_is_to_score_nothing():
    outputs = outputs_of([[[0.0, math.log(3)]]], [[[0.0, 0.0, 10.0, 10.0]]], ONE_PLACE)
    expected = 0.5**2 * -math.log(0.5) + 0.75**2 * -math.log(0.25)
    for kinds in (torch.zeros(1, 0, dtype=torch.long), torch.tensor([[-1, -1]])):
        assert built().losses(outputs, torch.zeros(1, kinds.shape[1], 4), kinds).item() == pytest.approx(expected)


def test_an_ignored_object_has_no_loss_and_no_gradient():
    logits = torch.zeros(1, 1, 2, requires_grad=True)
    boxes = torch.tensor([[[0.0, 0.0, 10.0, 10.0]]], requires_grad=True)
    outputs = Outputs(logits, boxes, torch.tensor(ONE_PLACE))
    loss = built().losses(outputs, torch.tensor([[[0.0, 0.0, 10.0, 20.0]]]), torch.tensor([[-2]]))
    loss.sum().backward()
    assert loss.item() == 0
    assert not logits.grad.any()
    assert boxes.grad is None or not boxes.grad.any()


def test_the_loss_of_a_picture_is_the_same_alone_and_in_a_batch():
    model, images = built().eval(), pictures(3)
    boxes = torch.tensor(
        [[[5.0, 5.0, 40.0, 30.0], [50.0, 20.0, 90.0, 60.0]], [[10.0, 10.0, 30.0, 50.0]] * 2, [[0.0] * 4] * 2]
    )
    kinds = torch.tensor([[0, 1], [1, -2], [-1, -1]])
    together = model.losses(model(images), boxes, kinds)
    alone = [model.losses(model(images[i : i + 1]), boxes[i : i + 1], kinds[i : i + 1]) for i in range(3)]
    assert torch.isfinite(together).all()
    assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_every_parameter_learns():
    model = built()
    boxes = torch.tensor([[[2.0, 2.0, 14.0, 12.0], [20.0, 5.0, 60.0, 40.0], [0.0, 0.0, 96.0, 64.0]]] * 2)
    model.losses(model(pictures(2)), boxes, torch.tensor([[0, 1, 0]] * 2)).sum().backward()
    assert [name for name, one in model.named_parameters() if one.grad is None] == []


def test_of_boxes_that_overlap_the_best_of_each_class_is_detected():
    # the second overlaps the first by 90 of 110, the third is of another class, the fourth elsewhere, the fifth unsure
    boxes = [
        [0.0, 0.0, 10.0, 10.0],
        [1.0, 0.0, 11.0, 10.0],
        [1.0, 0.0, 11.0, 10.0],
        [40.0, 0.0, 50.0, 10.0],
        [70.0, 0.0, 80.0, 10.0],
    ]
    scores = [[0.6, 0.001], [0.5, 0.001], [0.001, 0.7], [0.8, 0.02], [0.009, 0.009]]
    nothing = [[0.001, 0.001]] * 5
    logits = torch.logit(torch.tensor([scores, nothing])).tolist()
    outputs = outputs_of(logits, [boxes, boxes], [[[0.0, 0.0, 8.0]] * 5] * 2)
    found_boxes, found_scores, kinds = built().detections(outputs)
    assert kinds[0].tolist() == [0, 1, 0, 1, *[-1] * (kinds.shape[1] - 4)]
    assert (kinds[1] == -1).all()
    assert_close(found_scores[0, :4], torch.tensor([0.8, 0.7, 0.6, 0.02]))
    assert not found_scores[0, 4:].any()
    assert not found_scores[1].any()
    assert found_boxes[0, :4].tolist() == [boxes[3], boxes[2], boxes[0], boxes[3]]


def test_at_most_a_hundred_are_detected():
    boxes = [[[20.0 * i, 0.0, 20.0 * i + 10, 10.0] for i in range(150)]]
    outputs = outputs_of([[[float(i)] for i in range(150)]], boxes, [[[0.0, 0.0, 8.0]] * 150])
    _, scores, kinds = built(1).detections(outputs)
    assert kinds.tolist() == [[0] * 100]
    assert_close(scores[0], torch.arange(149, 49, -1.0).sigmoid())


def test_pictures_of_another_size_than_trained_on_are_detected_in():
    outputs = built().eval()(pictures(1, size=(160, 200)))
    assert outputs.boxes.shape[1] == 20 * 25 + 10 * 13 + 5 * 7
    assert built().detections(outputs)[0].shape[2] == 4


def test_small_pictures_have_finer_maps():
    inputs = PictureInputs(3, 32, 48, (0.5,) * 3, (0.3,) * 3)
    places = built(inputs=inputs).eval()(pictures(1, size=(32, 48))).places
    assert places[0, :, 2].unique().tolist() == [2, 4, 8]


def test_a_model_without_maps_is_no_backbone():
    with pytest.raises(UsageError, match="backbone=lenet5 has no maps"):
        built(backbone="lenet5")


def rendered(count, rng):
    """Pictures of bright squares (class 0) and dark discs (class 1) on noise, and their boxes."""
    images, boxes, kinds = torch.randint(90, 166, (count, 3, 64, 96), generator=rng, dtype=torch.uint8), [], []
    y, x = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
    for image in images:
        side = int(torch.randint(14, 30, (1,), generator=rng))
        left, top = (int(torch.randint(1, end - side, (1,), generator=rng)) for end in (48, 64))
        image[:, top : top + side, left : left + side] = 250
        radius = int(torch.randint(6, 12, (1,), generator=rng))
        middle = (
            int(torch.randint(60, 84, (1,), generator=rng)),
            int(torch.randint(radius, 63 - radius, (1,), generator=rng)),
        )
        image[:, (x - middle[0]) ** 2 + (y - middle[1]) ** 2 <= radius**2] = 5
        disc = [middle[0] - radius, middle[1] - radius, middle[0] + radius + 1, middle[1] + radius + 1]
        boxes.append([[left, top, left + side, top + side], disc])
        kinds.append([0, 1])
    return images, torch.tensor(boxes).float(), torch.tensor(kinds)


def trained(steps, *, seed=0):
    model = built(seed=seed)
    images, boxes, kinds = rendered(4, torch.Generator().manual_seed(5))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = model.losses(model(images), boxes, kinds).mean()
        loss.backward()
        optimiser.step()
    return model, images, boxes, kinds


def test_four_pictures_are_learnt_by_heart():
    model, images, boxes, kinds = trained(60)
    with torch.no_grad():
        found_boxes, scores, found_kinds = model.train().detections(model(images))
    picture, rank = (found_kinds >= 0).nonzero(as_tuple=True)
    truths = matching.truths(np.repeat(np.arange(4), 2), kinds.flatten().numpy(), boxes.flatten(0, 1).numpy())
    predictions = matching.predictions(
        picture.numpy(), found_kinds[picture, rank].numpy(), found_boxes[picture, rank].numpy(),
        scores[picture, rank].numpy(),
    )  # fmt: skip
    matches = matching.match_as_voc(truths, predictions, num_pictures=4, num_classes=2)
    assert detection.voc(matches, np.ones((1, 4)))[0] == 1


def test_the_same_seed_gives_the_same_training_and_another_one_another():
    first, again, other = (trained(2, seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classes.0.last.weight"], other["classes.0.last.weight"])


def test_the_module_says_where_its_backbone_comes_from():
    model = built()
    assert model.backbone_name == "mobilenet-v2"
    assert model.backbone.head is None
    assert detector.FAMILY.defaults("detector", INPUTS, 200)["optimiser.name"] == "adamw"
