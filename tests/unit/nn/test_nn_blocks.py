"""The layers nets are stacked from."""

import pytest
import torch

from gnomon.core.errors import UsageError
from gnomon.nn.blocks import conv_block, dense_block, one_each


def test_a_bias_before_batch_norm_is_dropped():
    dense = dense_block(4, 8, activation_name="relu", dropout=0.0, normalisation="batch")
    conv = conv_block(3, 8, size=3, padding=1, pool=2, activation_name="relu", normalisation="batch")
    assert dense.linear.bias is None
    assert conv.conv.bias is None
    assert dense_block(4, 8, activation_name="relu", dropout=0.0, normalisation="none").linear.bias is not None


def test_batch_norm_stands_before_the_activation_and_dropout_after():
    block = dense_block(4, 8, activation_name="tanh", dropout=0.5, normalisation="batch")
    assert list(block._modules) == ["linear", "norm", "activation", "dropout"]
    conv = conv_block(3, 8, size=3, padding=1, pool=2, activation_name="tanh", normalisation="batch")
    assert list(conv._modules) == ["conv", "pool", "norm", "activation"]


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "sigmoid"])
def test_a_pool_before_the_activation_changes_nothing(name):
    block = conv_block(3, 8, size=3, padding=1, pool=2, activation_name=name, normalisation="none")
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block(x), block.pool(block.activation(block.conv(x))))


def test_a_batch_of_one_predicts_the_same_as_in_a_batch():
    block = conv_block(3, 8, size=3, padding=1, pool=2, activation_name="relu", normalisation="batch")
    x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    block(x)  # moves the running averages
    block.eval()
    torch.testing.assert_close(block(x)[2:3], block(x[2:3]))


def test_dropout_keeps_the_expected_activation():
    block = dense_block(100, 100, activation_name="relu", dropout=0.3, normalisation="none")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.rand(2000, 100)
        dropped, kept = block(x), block.eval()(x)
    # 200,000 draws of a factor with mean 1 and variance 3/7: the mean moves by less than 1 %
    assert dropped.mean().item() == pytest.approx(kept.mean().item(), rel=0.01)
    assert (dropped[kept > 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_one_dropout_counts_for_every_layer_and_a_wrong_count_is_refused():
    assert one_each((), 2) == (0.0, 0.0)
    assert one_each((0.5,), 3) == (0.5, 0.5, 0.5)
    assert one_each((0.1, 0.2), 2) == (0.1, 0.2)
    with pytest.raises(UsageError, match="dropout has 3 values for 2 hidden layers"):
        one_each((0.1, 0.2, 0.3), 2)
