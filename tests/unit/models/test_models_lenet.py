"""LeNet-5: exact counts, the smallest picture."""

import pytest
import torch

from gnomon.core.errors import UsageError
from gnomon.models.lenet5 import lenet5

COLOUR = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
GRAY = {"mean": (0.5,), "std": (0.25,)}


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_on_32x32x3_are_those_worked_out_on_paper():
    model = lenet5(3, 10, image_size=(32, 32), **COLOUR)
    layers = [model.conv1, model.conv2, model.dense1, model.dense2, model.head]
    # (5*5*3+1)*8, (5*5*8+1)*16, 400*120+120, 120*84+84, 84*10+10
    assert [parameters(layer) for layer in layers] == [608, 3216, 48120, 10164, 850]
    assert parameters(model) == 62958


def test_the_flattened_size_follows_the_picture():
    # 28 -> 24 -> 12 -> 8 -> 4: 4*4*16 = 256 inputs
    assert lenet5(1, 10, image_size=(28, 28), **GRAY).dense1.linear.in_features == 256


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (33, 40), (64, 48)])
def test_any_picture_from_16_pixels_up_is_answered(size):
    model = lenet5(1, 7, image_size=size, **GRAY)
    assert model(torch.zeros(2, 1, *size, dtype=torch.uint8)).shape == (2, 7)


def test_a_smaller_picture_is_refused_with_a_way_out():
    with pytest.raises(UsageError, match=r"at least 16x16 pixels, got 15x28.*model=convnet"):
        lenet5(1, 10, image_size=(15, 28), **GRAY)
