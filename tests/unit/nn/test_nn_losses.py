"""Losses per example: values by hand, gradients by finite differences, unknown entries untouched."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnomon.nn import losses as L  # noqa: N812

NAN = float("nan")


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


def test_softmax_cross_entropy_of_equal_logits_is_ln_k():
    loss = L.softmax_cross_entropy(torch.zeros(2, 8), torch.tensor([0, 5]))
    assert loss.tolist() == pytest.approx([math.log(8)] * 2)


def test_softmax_cross_entropy_by_hand():
    # softmax(ln 1, ln 2, ln 5) = (1/8, 2/8, 5/8)
    logits = torch.log(row(1, 2, 5))
    assert L.softmax_cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(math.log(4))
    mixed = L.softmax_cross_entropy(logits, row(0.5, 0.5, 0))
    assert mixed.item() == pytest.approx(0.5 * math.log(8) + 0.5 * math.log(4))


def test_logistic_loss_by_hand():
    # sigma(ln 3) = 3/4
    z = torch.tensor([math.log(3)] * 3, dtype=torch.float64)
    expected = [-math.log(0.75), -math.log(0.25), -0.1 * math.log(0.75) - 0.9 * math.log(0.25)]
    assert L.logistic_loss(z, torch.tensor([1, 0, 0.1])).tolist() == pytest.approx(expected)


def test_one_vs_all_is_one_logistic_loss_per_class():
    # sigma = 3/4, 1/2, 1/4 and the first class is right
    z = row(math.log(3), 0, -math.log(3))
    expected = -math.log(0.75) - math.log(0.5) - math.log(0.75)
    assert L.one_vs_all_loss(z, torch.tensor([0])).item() == pytest.approx(expected)
    assert L.one_vs_all_loss(z, row(1, 0, 0)).item() == pytest.approx(expected)


def test_squared_error_by_hand():
    assert L.squared_error(torch.tensor([1.0, 4.0]), torch.tensor([3.0, 4.0])).tolist() == [4, 0]
    assert L.squared_error(row(1, 4), row(3, 4)).tolist() == [2]


def test_squared_error_refuses_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match=r"\(3,\) and target \(3, 1\)"):
        L.squared_error(torch.zeros(3), torch.zeros(3, 1))


@pytest.mark.parametrize("z", [-1e4, 1e4])
def test_losses_stay_finite_where_exp_overflows(z):
    assert L.softmax_cross_entropy(torch.tensor([[z, 0.0]]), torch.tensor([0])).item() == pytest.approx(max(-z, 0))
    assert L.logistic_loss(torch.tensor([z]), torch.tensor([1.0])).item() == pytest.approx(max(-z, 0))


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.floats(-100, 100))
def test_adding_a_constant_to_the_logits_changes_no_softmax_loss(logits, constant):
    z = row(*logits)
    target = torch.tensor([1])
    moved = L.softmax_cross_entropy(z + constant, target).item()
    assert moved == pytest.approx(L.softmax_cross_entropy(z, target).item(), abs=1e-9)


def test_smoothed_targets_give_torchs_label_smoothing():
    # 0.1 spread over five classes: 0.02 each, 0.92 on the label
    z = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 4, 2])
    smoothed = torch.full((4, 5), 0.02).scatter(1, target[:, None], 0.92)
    expected = torch.nn.functional.cross_entropy(z, target, reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(L.softmax_cross_entropy(z, smoothed), expected)


def questions(logits, target, known):
    return L.multi_task_logistic(logits, target, known)


def heads(logits, target, known):
    return L.multi_task_cross_entropy(torch.cat([logits, -logits], 1)[:, [0, 2, 1, 3]], target.long(), known, (2, 2))


@pytest.mark.parametrize("loss", [questions, heads])
def test_unknown_entries_get_a_gradient_of_exactly_zero_and_known_ones_do_not(loss):
    z = torch.tensor([[2.0, -1.0], [0.5, 1e4], [1.0, 1.0]], requires_grad=True)
    target = torch.tensor([[1.0, 0.0], [0.0, NAN], [NAN, NAN]])
    known = ~target.isnan()
    value = loss(z, target, known)
    value.sum().backward()
    assert (z.grad[~known] == 0).all()
    assert (z.grad[known] != 0).all()
    assert value[2] == 0
    assert value.isfinite().all()


@pytest.mark.parametrize("loss", [questions, heads])
def test_an_example_counts_the_mean_of_its_known_entries(loss):
    z = torch.tensor([[2.0, -1.0], [2.0, 7.0], [3.0, -1.0]], dtype=torch.float64)
    target = torch.tensor([[1.0, 0.0], [1.0, NAN], [NAN, 0.0]], dtype=torch.float64)
    both, first, second = loss(z, target, ~target.isnan()).tolist()
    assert both == pytest.approx((first + second) / 2)


def test_heads_of_different_sizes_answer_for_themselves():
    # head one: 2 classes (1/4, 3/4); head two: 3 classes (1/8, 2/8, 5/8)
    logits = torch.log(row(1, 3, 1, 2, 5))
    value = L.multi_task_cross_entropy(logits, torch.tensor([[1, 2]]), torch.tensor([[True, True]]), (2, 3))
    assert value.item() == pytest.approx((math.log(4 / 3) + math.log(8 / 5)) / 2)


@pytest.mark.parametrize("loss", [questions, heads])
def test_gradients_of_multi_task_losses_agree_with_finite_differences(loss):
    z = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.tensor([[1.0, 0.0], [0.0, NAN], [NAN, 1.0], [NAN, NAN]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, target, ~target.isnan()), (z,))


def test_gradients_of_single_losses_agree_with_finite_differences():
    z = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.tensor([0, 2, 1, 1])
    soft = torch.tensor([[0.8, 0.1, 0.1], [0, 0, 1], [0.3, 0.3, 0.4], [0, 1, 0]], dtype=torch.float64)
    for loss in (L.softmax_cross_entropy, L.one_vs_all_loss):
        assert torch.autograd.gradcheck(lambda logits, loss=loss: loss(logits, target), (z,))
        assert torch.autograd.gradcheck(lambda logits, loss=loss: loss(logits, soft), (z,))
    assert torch.autograd.gradcheck(lambda outputs: L.squared_error(outputs, soft), (z,))
