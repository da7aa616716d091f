"""Losses of one box and of points against their equations, and what is ignored has no gradient at all."""

import numpy as np
import pytest
import torch

from gnomon.nn.losses import landmark_loss, localisation_loss
from gnomon.reference import places

RNG = np.random.default_rng(0)
NAN = float("nan")


def _case(num_classes):
    """Two objects, two pictures without one, one that nobody knows."""
    target = RNG.standard_normal((5, 5 + num_classes))
    target[:, 0] = [1, 0, 1, NAN, 0]
    target[:, 5:] = np.eye(max(num_classes, 1))[[0, 0, -1, 0, 0]][:, :num_classes]
    target[[1, 3, 4], 1:] = NAN
    return RNG.standard_normal((5, 5 + num_classes)) * 3, target


def _with_gradient(loss, outputs, target, **options):
    found = torch.tensor(outputs, requires_grad=True)
    losses = loss(found, torch.tensor(target), **options)
    losses.sum().backward()
    return losses.detach().numpy(), found.grad.numpy()


@pytest.mark.parametrize("num_classes", [0, 2, 4])
def test_localisation_is_the_equations(num_classes):
    outputs, target = _case(num_classes)
    losses, gradient = _with_gradient(localisation_loss, outputs, target)
    np.testing.assert_allclose(losses, places.localisation_loss(outputs, target), rtol=1e-12)
    np.testing.assert_allclose(
        gradient, places.localisation_loss_backward(np.ones(5), outputs, target), rtol=1e-10, atol=1e-12
    )


def test_without_an_object_box_and_classes_have_exactly_no_gradient():
    outputs, target = _case(3)
    _, gradient = _with_gradient(localisation_loss, outputs, target)
    assert (gradient[[1, 4], 0] != 0).all()
    assert (gradient[[1, 4], 1:] == 0).all()
    assert (gradient[3] == 0).all()


def test_what_is_ignored_may_be_infinite():
    outputs, target = _case(2)
    outputs[1, 1:], outputs[3] = np.inf, np.nan
    losses, gradient = _with_gradient(localisation_loss, outputs, target)
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()


def test_landmarks_are_the_equations():
    outputs, target = RNG.standard_normal((4, 6, 2)), RNG.standard_normal((4, 6, 2))
    target[0, 2], target[1, 3:], target[2] = NAN, NAN, NAN
    losses, gradient = _with_gradient(landmark_loss, outputs, target, softening=0.02)
    np.testing.assert_allclose(losses, places.landmark_loss(outputs, target, softening=0.02), rtol=1e-12)
    expected = places.landmark_loss_backward(np.ones(4), outputs, target, softening=0.02)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-14)
    assert (gradient[np.isnan(target)] == 0).all()


def test_a_point_that_is_right_has_no_gradient_and_no_nan():
    losses, gradient = _with_gradient(landmark_loss, np.ones((1, 2, 2)), np.ones((1, 2, 2)), softening=0.02)
    assert losses.tolist() == [0]
    assert (gradient == 0).all()
