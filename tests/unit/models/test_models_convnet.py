"""The default convnet: shapes, counts, refusals."""

import pytest
import torch

from gnomon.core.errors import UsageError
from gnomon.models.convnet import convnet

GRAY = {"mean": (0.5,), "std": (0.25,)}


def test_parameters_of_the_two_stage_net_worked_out_on_paper():
    model = convnet(1, 10, image_size=(28, 28), channels=(32, 64), hidden=(128,), **GRAY)
    expected = (9 + 1) * 32 + (9 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 128 + (128 + 1) * 10
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_more_stages_than_halvings_are_refused():
    with pytest.raises(UsageError, match=r"pictures of 8x8 pixels are too small for 4 pooling stages"):
        convnet(1, 10, image_size=(8, 8), channels=(8,) * 4, hidden=(), **GRAY)


def test_dropout_is_never_lost_for_want_of_a_dense_layer():
    model = convnet(1, 10, image_size=(8, 8), channels=(4,), hidden=(), dropout=(0.4,), **GRAY)
    assert [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)] == [0.4]
    model = convnet(1, 10, image_size=(8, 8), channels=(4,), hidden=(16, 8), dropout=(0.4,), **GRAY)
    assert [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)] == [0.4, 0.4]
