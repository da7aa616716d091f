"""Mixup and cutmix: the share of a picture is its share of the loss, whatever the target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_softmax

from gnomon import tasks
from gnomon.core.parts import MIXED_WITH, OWN_SHARE
from gnomon.core.settings import from_flat
from gnomon.core.task import Task
from gnomon.data.augment import draw_mixing
from gnomon.parts.one_class import ClassHead, ClassJudge
from gnomon.parts.several_classes import SeveralClassesHead, SeveralClassesJudge
from gnomon.training.loop import mean_loss


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_mixup_is_the_weighted_mean_of_two_pictures():
    images = torch.rand(8, 3, 5, 6) * 255
    mixing = draw_mixing(8, (5, 6), {"mixup": 0.4}, seeded())
    share = mixing.share.view(-1, 1, 1, 1)
    torch.testing.assert_close(mixing.pictures(images), share * images + (1 - share) * images[mixing.partner])
    assert sorted(mixing.partner.tolist()) == list(range(8))


def test_cutmix_shows_a_rectangle_of_the_partner_and_counts_its_pixels():
    own = torch.zeros(300, 1, 12, 10)
    mixing = draw_mixing(300, (12, 10), {"cutmix": 1.0}, seeded())
    number = torch.arange(300.0).view(-1, 1, 1, 1)
    shown = mixing.pictures(own + number)
    is_own = shown == number
    is_partners = shown == mixing.partner.view(-1, 1, 1, 1).float()
    assert (is_own | is_partners).all()
    for picture, share, at, partner in zip(is_own[:, 0], mixing.share, range(300), mixing.partner, strict=True):
        if int(partner) == at:
            continue
        assert float(share) == pytest.approx(float(picture.float().mean()))
        rows, columns = (~picture).any(1), (~picture).any(0)
        assert int((~picture).sum()) == int(rows.sum()) * int(columns.sum())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_follow_the_beta_law(alpha):
    shares = draw_mixing(20_000, (2, 2), {"mixup": alpha}, seeded(1)).share.double().numpy()
    places = np.array([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])
    below = (shares[:, None] < places).mean(axis=0)
    np.testing.assert_allclose(below, stats.beta(alpha, alpha).cdf(places), atol=0.014)  # four standard deviations


def test_with_both_each_picture_gets_one_of_them():
    mixing = draw_mixing(400, (16, 16), {"mixup": 1.0, "cutmix": 1.0}, seeded(2))
    is_cut = ((mixing.own == 0) | (mixing.own == 1)).flatten(1).all(1)
    assert 150 < int(is_cut.sum()) < 250
    torch.testing.assert_close(mixing.own.mean(dim=(1, 2, 3)), mixing.share)


def test_without_either_nothing_is_drawn():
    generator = seeded()
    before = generator.get_state()
    assert draw_mixing(4, (5, 5), {"cutout": 0.5}, generator) is None
    assert torch.equal(generator.get_state(), before)


# --- the loss -------------------------------------------------------------------------------------------------------

SHARE, PARTNER = torch.tensor([0.7, 0.2, 1.0]), torch.tensor([1, 2, 0])


def mixed(task, batch, **settings):
    """The batch after augmentation that mixes its rows as above."""
    encoder = type("Mixing", (), {"augment": lambda _self, one, *_: {**one, MIXED_WITH: PARTNER, OWN_SHARE: SHARE}})()
    regularise = from_flat(settings).regularise
    return replace(task, encoder=encoder).augment(dict(batch), regularise, seeded())


def task_of(head, judge):
    return Task(tasks.load("image_classification"), None, head, judge.of(head))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_of_several_classes_the_loss_is_the_cross_entropy_with_the_mixed_target(smoothing):
    head = ClassHead(("a", "b", "c", "d"))
    task = task_of(head, ClassJudge)
    batch = mixed(task, {"target": torch.tensor([3, 0, 2])}, label_smoothing=smoothing)
    logits = torch.randn(3, 4, generator=seeded(), dtype=torch.float64)
    target = np.eye(4)[[3, 0, 2]] * (1 - smoothing) + smoothing / 4
    share = SHARE.double().numpy()[:, None]
    target = share * target + (1 - share) * target[PARTNER.numpy()]
    expected = -(target * log_softmax(logits.numpy(), axis=1)).sum(axis=1)
    np.testing.assert_allclose(task.losses(logits, batch).numpy(), expected, atol=1e-6)
    losses, gradient = task.losses_and_gradient(logits.clone(), batch)
    np.testing.assert_allclose(losses.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), np.exp(log_softmax(logits.numpy(), axis=1)) - target, atol=1e-6)


def test_of_two_classes_the_loss_is_the_logistic_one_with_the_mixed_target():
    task = task_of(ClassHead(("no", "yes")), ClassJudge)
    batch = mixed(task, {"target": torch.tensor([1, 0, 1])})
    z = torch.tensor([[0.5], [-1.0], [2.0]], dtype=torch.float64)
    t = np.array([0.7, 0.8, 1.0])  # 0.7 of 1 and 0.3 of 0; 0.2 of 0 and 0.8 of 1; all of 1
    p = 1 / (1 + np.exp(-z[:, 0].numpy()))
    np.testing.assert_allclose(task.losses(z, batch).numpy(), -t * np.log(p) - (1 - t) * np.log(1 - p), atol=1e-6)
    _, gradient = task.losses_and_gradient(z.clone(), batch)
    np.testing.assert_allclose(gradient[:, 0].numpy(), p - t, atol=1e-6)


def test_with_class_weights_each_part_keeps_the_weight_of_its_class():
    weights = (0.5, 1.0, 4.0)
    task = task_of(ClassHead(("a", "b", "c"), weights=weights), ClassJudge)
    classes = np.array([0, 2, 1])
    batch = mixed(task, {"target": torch.from_numpy(classes)})
    logits = torch.randn(3, 3, generator=seeded(5), dtype=torch.float64)
    each = -log_softmax(logits.numpy(), axis=1)
    share, of = SHARE.double().numpy(), np.array(weights)[classes]
    partner = PARTNER.numpy()
    own, other = share * of, (1 - share) * of[partner]
    total = (own * each[range(3), classes] + other * each[range(3), classes[partner]]).sum() / (own + other).sum()
    assert float(mean_loss(task.losses(logits, batch), batch)) == pytest.approx(total, abs=1e-6)


def test_of_several_targets_unknown_ones_count_in_neither_part():
    head = SeveralClassesHead(("x", "y"), (("a", "b", "c"), ("d", "e", "f")))
    task = task_of(head, SeveralClassesJudge)
    known = torch.tensor([[0, 1], [2, -1], [-1, -1]])
    batch = mixed(task, {"target": known, "weight": torch.tensor([2.0, 1.0, 0.0])})
    logits = torch.randn(3, 6, generator=seeded(6), dtype=torch.float64)
    first, second = (-log_softmax(part, axis=1) for part in np.split(logits.numpy(), 2, axis=1))
    # sums over known targets: of a row with the logits of i, and the targets of i or of its partner
    total = 0.7 * (first[0, 0] + second[0, 1]) + 0.3 * first[0, 2]
    total += 0.2 * first[1, 2]  # its partner knows nothing
    count = 0.7 * 2 + 0.3 * 1 + 0.2 * 1  # the third row is all its own and knows nothing
    assert float(mean_loss(task.losses(logits, batch), batch)) == pytest.approx(total / count, abs=1e-6)
