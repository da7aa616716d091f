import pytest
import torch
from torch.testing import assert_close

from gnomon.nn import boxes
from gnomon.reference import boxes as plain

UNIT = torch.tensor([0.0, 0.0, 1.0, 1.0])


def some_boxes(count, *, seed=0, size=100.0, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=rng, dtype=dtype) * 500
    return torch.cat([corner, corner + torch.rand(count, 2, generator=rng, dtype=dtype) * size], 1)


def by_reference(measure, first, second):
    values = [[measure(a, b) for b in second.numpy()] for a in first.numpy()]
    return torch.tensor(values, dtype=torch.float64)


def plain_loop(found, scores, groups, threshold):
    """Indices kept, each group on its own, highest score first."""
    kept = []
    for group in groups.unique():
        index = (groups == group).nonzero()[:, 0]
        chosen = plain.nms(found[index].numpy(), scores[index].numpy(), threshold=threshold)
        kept += index[chosen].tolist()
    return sorted(kept, key=lambda i: (-float(scores[i]), i))


def test_half_overlapping_unit_squares_share_a_third():
    # drawn on paper: shared area 1/2, area together 3/2, enclosing box 3/2, centres 1/2 apart, diagonal² 13/4
    other = torch.tensor([0.5, 0.0, 1.5, 1.0])
    assert boxes.iou(UNIT, other).item() == pytest.approx(1 / 3)
    assert boxes.giou(UNIT, other).item() == pytest.approx(1 / 3)
    assert boxes.diou(UNIT, other).item() == pytest.approx(1 / 3 - 0.25 / 3.25)
    assert boxes.ciou(UNIT, other).item() == pytest.approx(1 / 3 - 0.25 / 3.25)


def test_squares_a_side_apart_have_giou_minus_a_third():
    # drawn on paper: the enclosing box of 3 holds 1 that neither covers
    other = torch.tensor([2.0, 0.0, 3.0, 1.0])
    assert boxes.iou(UNIT, other).item() == 0
    assert boxes.giou(UNIT, other).item() == pytest.approx(-1 / 3)


@pytest.mark.parametrize("measure", ["iou", "giou", "diou", "ciou"])
def test_all_pairs_equal_the_reference(measure):
    first, second = some_boxes(23), some_boxes(17, seed=1)
    wanted = by_reference(getattr(plain, measure), first, second)
    assert_close(getattr(boxes, measure)(first[:, None], second), wanted, rtol=0, atol=1e-12)
    assert_close(boxes.pairwise(getattr(boxes, measure), first, second), wanted, rtol=0, atol=1e-12)


def test_pairwise_iou_equals_the_reference_whatever_the_size_of_its_blocks(monkeypatch):
    first, second = some_boxes(23), some_boxes(17, seed=1)
    wanted = by_reference(plain.iou, first, second)
    for pairs in (1, 40, 1000):
        monkeypatch.setattr(boxes, "PAIRS", pairs)
        assert_close(boxes.pairwise_iou(first, second), wanted, rtol=0, atol=1e-14)
    assert boxes.pairwise_iou(first[:0], second).shape == (0, 17)
    assert boxes.pairwise_iou(first, second[:0]).shape == (23, 0)


def test_boxes_of_half_precision_do_not_overflow():
    large = torch.tensor([[0.0, 0.0, 400.0, 400.0]], dtype=torch.float16)
    assert boxes.pairwise_iou(large, large).item() == 1
    assert boxes.iou(large, large).item() == 1


@pytest.mark.parametrize("measure", [boxes.iou, boxes.giou, boxes.diou, boxes.ciou])
def test_boxes_without_area_have_finite_values_and_gradients(measure):
    point, line, back = [3.0, 3.0, 3.0, 3.0], [3.0, 1.0, 3.0, 5.0], [4.0, 4.0, 2.0, 2.0]
    every = torch.tensor([point, line, back, [1.0, 1.0, 5.0, 5.0]])
    first = every.clone().requires_grad_()
    values = measure(first[:, None], every)
    values.sum().backward()
    assert values.isfinite().all()
    assert first.grad.isfinite().all()
    assert (boxes.pairwise_iou(every, every)[:3, :3] == 0).all()


@pytest.mark.parametrize("measure", [boxes.iou, boxes.giou, boxes.diou])
def test_gradients_are_those_of_finite_differences(measure):
    first, second = some_boxes(6).requires_grad_(), some_boxes(6, seed=1)
    second[0] = first[0].detach() + 200  # does not touch
    assert torch.autograd.gradcheck(lambda box: measure(box, second), [first])


def test_the_weight_of_the_shape_penalty_has_no_gradient():
    first, second = some_boxes(6).requires_grad_(), some_boxes(6, seed=1)
    angle = [((box[:, 2] - box[:, 0]) / (box[:, 3] - box[:, 1])).atan() for box in (first, second)]
    apart = 4 / torch.pi**2 * (angle[0] - angle[1]) ** 2
    weight = (apart / (1 - boxes.iou(first, second) + apart)).detach()
    (wanted,) = torch.autograd.grad((boxes.diou(first, second) - weight * apart).sum(), first)
    (found,) = torch.autograd.grad(boxes.ciou(first, second).sum(), first)
    assert_close(found, wanted)


@pytest.mark.parametrize("measure", [boxes.giou, boxes.diou, boxes.ciou])
def test_descending_the_loss_moves_a_box_onto_one_that_it_does_not_touch(measure):
    box = torch.tensor([0.0, 0.0, 10.0, 4.0], requires_grad=True)
    target = torch.tensor([20.0, 12.0, 26.0, 30.0])
    optimiser = torch.optim.Adam([box], lr=0.5)
    for step in range(400):
        for group in optimiser.param_groups:
            group["lr"] = 0.5 * (1 - step / 400)
        optimiser.zero_grad()
        (1 - measure(box, target)).backward()
        optimiser.step()
    assert boxes.iou(box, target).item() > 0.95


@pytest.mark.parametrize(("count", "size"), [(400, 100.0), (300, 400.0), (300, 10.0)])
@pytest.mark.parametrize("head", [32, 1024])
def test_nms_keeps_what_the_plain_loop_keeps(count, size, head, monkeypatch):
    monkeypatch.setattr(boxes, "HEAD", head)
    monkeypatch.setattr(boxes, "TILE", 8)
    found = some_boxes(count, size=size)
    rng = torch.Generator().manual_seed(2)
    scores = torch.randint(0, 50, (count,), generator=rng) / 50  # many are equal
    groups = torch.randint(-3, 3, (count,), generator=rng)
    for given, threshold in ((groups, 0.3), (torch.zeros_like(groups), 0.0), (torch.zeros_like(groups), 0.5)):
        wanted = plain_loop(found, scores, given, threshold)
        assert boxes.nms(found, scores, threshold=threshold, groups=given).tolist() == wanted
    assert boxes.nms(found, scores, threshold=0.5).tolist() == wanted


def test_a_chain_of_boxes_is_thinned_as_by_the_loop():
    # each covers the next alone: the 2nd goes, so the 3rd stays, and so on
    left = torch.arange(50.0)[:, None] * 2
    chain = torch.cat([left, torch.zeros(50, 1), left + 10, torch.full((50, 1), 10.0)], 1)
    assert boxes.nms(chain, torch.linspace(1, 0, 50), threshold=0.5).tolist() == list(range(0, 50, 2))


def test_of_equal_scores_the_first_is_kept():
    twins = UNIT.expand(3, 4)
    assert boxes.nms(twins, torch.tensor([0.5, 0.7, 0.7]), threshold=0.5).tolist() == [1]


def test_an_iou_equal_to_the_threshold_is_kept():
    half = torch.tensor([0.0, 0.0, 1.0, 0.5])
    assert boxes.nms(torch.stack([UNIT, half]), torch.tensor([0.9, 0.8]), threshold=0.5).tolist() == [0, 1]
    assert boxes.nms(torch.stack([UNIT, half]), torch.tensor([0.9, 0.8]), threshold=0.49).tolist() == [0]


@pytest.mark.parametrize("suppress", [lambda *given: boxes.nms(*given, threshold=0.5), boxes.soft_nms])
def test_a_score_that_is_no_number_is_refused_and_no_boxes_give_none(suppress):
    with pytest.raises(ValueError, match="the score of box 1 is not a number"):
        suppress(UNIT.expand(2, 4), torch.tensor([0.5, torch.nan]))
    assert len(boxes.nms(torch.zeros(0, 4), torch.zeros(0), threshold=0.5)) == 0
    assert [len(one) for one in boxes.soft_nms(torch.zeros(0, 4), torch.zeros(0))] == [0, 0]


def test_soft_nms_equals_the_reference_in_every_group():
    found, rng = some_boxes(80, size=300), torch.Generator().manual_seed(3)
    scores = torch.rand(80, generator=rng, dtype=torch.float64)
    groups = torch.randint(0, 4, (80,), generator=rng) * 7
    wanted = {}
    for group in groups.unique():
        index = (groups == group).nonzero()[:, 0]
        chosen = plain.soft_nms(found[index].numpy(), scores[index].numpy(), sigma=0.3, lowest=0.1)
        wanted |= {int(index[i]): score for i, score in chosen}
    kept, lowered = boxes.soft_nms(found, scores, sigma=0.3, lowest=0.1, groups=groups)
    assert 0 < len(kept) < 80
    assert kept.tolist() == sorted(wanted, key=lambda i: -wanted[i])
    assert_close(lowered, torch.tensor([wanted[i] for i in kept.tolist()], dtype=torch.float64))


def test_of_a_small_box_in_a_large_one_all_is_covered_and_of_the_large_one_its_share():
    small, large, none = torch.tensor([2.0, 2, 4, 6]), torch.tensor([0.0, 0, 10, 8]), torch.tensor([3.0, 3, 3, 5])
    assert boxes.covered(small, large) == 1
    assert boxes.covered(large, small) == pytest.approx(8 / 80)
    assert boxes.covered(none, large) == 0
