"""Dense and linear nets on tables and pictures."""

import pytest
import torch
from torch import nn

from gnomon.core.errors import UsageError
from gnomon.models.dense import dense, dense_image, embedding_width
from gnomon.models.linear import linear, linear_image


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_the_784_256_128_10_net():
    model = dense(784, 10, hidden=(256, 128))
    assert parameters(model) == (784 + 1) * 256 + (256 + 1) * 128 + (128 + 1) * 10


def test_no_hidden_layer_leaves_a_linear_model():
    model = dense(3, 2, hidden=())
    x = torch.randn(4, 3)
    torch.testing.assert_close(model(x), model.head(x))


def test_every_layer_takes_its_own_activation_and_dropout():
    model = dense(4, 1, hidden=(8, 8), activation=("tanh", "sigmoid"), dropout=(0.0, 0.4))
    assert isinstance(model.body.dense1.activation, nn.Tanh)
    assert isinstance(model.body.dense2.activation, nn.Sigmoid)
    assert model.body.dense2.dropout.p == 0.4
    assert not hasattr(model.body.dense1, "dropout")
    with pytest.raises(UsageError, match="activation has 3 values for 2 hidden layers"):
        dense(4, 1, hidden=(8, 8), activation=("tanh",) * 3)


def test_embedding_width_follows_the_rule_of_thumb():
    # 1.6 * n^0.56 by calculator: 2.36, 5.81, 21.1, 231
    assert [embedding_width(size) for size in (2, 10, 100, 7200)] == [2, 6, 21, 50]


def test_categories_reach_the_answer_through_their_own_column():
    model = dense(2, 3, hidden=(8,), category_sizes=(4, 5))
    numbers = torch.zeros(2, 2)
    one, other = torch.tensor([[0, 0], [1, 0]]), torch.tensor([[0, 4], [1, 4]])
    assert model(numbers, one).shape == (2, 3)
    assert not torch.equal(model(numbers, one)[0], model(numbers, one)[1])
    assert not torch.equal(model(numbers, one), model(numbers, other))


def test_a_table_of_categories_alone_is_answered():
    assert dense(0, 2, hidden=(4,), category_sizes=(3,))(torch.zeros(5, 0), torch.zeros(5, 1).long()).shape == (5, 2)
    assert linear(0, 2, category_sizes=(3,))(torch.zeros(5, 0), torch.zeros(5, 1).long()).shape == (5, 2)


def test_a_linear_category_equals_a_one_hot_column():
    model = linear(2, 3, category_sizes=(4, 5))
    numbers, categories = torch.randn(6, 2), torch.stack([torch.arange(6) % 4, torch.arange(6) % 5], 1)
    one_hot = torch.cat([nn.functional.one_hot(categories[:, c], n) for c, n in enumerate((4, 5))], 1).float()
    expected = model.head(numbers) + one_hot @ model.categories.weight
    torch.testing.assert_close(model(numbers, categories), expected)


def test_a_forgotten_categorical_part_is_refused():
    for model in (linear(2, 1, category_sizes=(3,)), dense(2, 1, hidden=(), category_sizes=(3,))):
        with pytest.raises(ValueError, match="built for 1 categorical columns and got none"):
            model(torch.zeros(1, 2))


def test_pictures_are_normalised_and_flattened():
    images = torch.randint(0, 256, (4, 3, 5, 6), dtype=torch.uint8)
    flat = ((images / 255 - 0.5) / 0.25).flatten(1)
    pictures = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    model = linear_image(90, 7, **pictures)
    torch.testing.assert_close(model(images), model.head(flat), rtol=1e-4, atol=1e-5)
    net = dense_image(90, 7, hidden=(16,), **pictures)
    torch.testing.assert_close(net(images), net.head(net.dense1(flat)), rtol=1e-4, atol=1e-5)
