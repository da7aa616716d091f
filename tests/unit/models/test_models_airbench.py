"""airbench against its paper: parameters, fixed filters, how it begins, and the same layers written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gnomon.core import found
from gnomon.core.family import PictureInputs, Wanted
from gnomon.nn.groups import parameter_groups
from gnomon.nn.initialise import initialise


def built(channels=3, num_outputs=10, **own):
    family = found.family("airbench")
    inputs = PictureInputs(channels, 32, 32, (0.5,) * channels, (0.25,) * channels)
    torch.manual_seed(0)
    return family.build(Wanted("airbench", inputs, family.settings(**own), (), num_outputs))


def test_parameters_are_those_of_the_paper_and_the_ones_that_are_named():
    products = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256) + 256 * 10
    published = products + (64 + 64 + 4 * 256) + 24 * 3 * 4 + 24  # biases of batch norm, the first filters with theirs
    assert round(published / 1e6, 2) == 1.97  # Jordan 2024, section 3
    ours = sum(parameter.numel() for parameter in built().parameters())
    assert ours == products + 2 * (64 + 64 + 4 * 256) + 2 * 24 + 10  # scales too, and a bias in the head


@pytest.mark.parametrize("channels", [1, 3])
def test_the_fixed_filters_are_an_orthonormal_basis_of_patches_with_both_signs(channels):
    patches = built(channels).patches
    half = 4 * channels
    flat = patches.filters.reshape(2 * half, -1)
    torch.testing.assert_close(flat[:half] @ flat[:half].T, torch.eye(half))
    torch.testing.assert_close(flat[half:], -flat[:half])
    assert "patches.filters" not in dict(built(channels).named_parameters())


def test_the_first_filters_of_a_layer_begin_by_handing_on_its_inputs():
    model = built()
    initialise(model, "he", torch.Generator().manual_seed(0))
    x = torch.rand(2, 24, 8, 8)
    torch.testing.assert_close(model.group1.conv1(x)[:, :24], x)
    assert not torch.equal(model.group1.conv1(x)[:, 24:48], x)


def test_it_is_the_net_of_the_paper_written_out():
    model = built().eval()
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            if "norm" in name:
                weight.uniform_(-1, 1)
        pictures = torch.rand(2, 3, 32, 32)
        x = functional.conv2d((pictures - 0.5) / 0.25, model.patches.filters) / (1 + 1e-5) ** 0.5
        x = functional.gelu(
            x * weights["patches.norm.weight"].view(-1, 1, 1) + weights["patches.norm.bias"].view(-1, 1, 1)
        )
        for group in ("group1", "group2", "group3"):
            for number in (1, 2):
                x = functional.conv2d(x, weights[f"{group}.conv{number}.weight"], padding=1)
                x = functional.max_pool2d(x, 2) if number == 1 else x
                scale, bias = (weights[f"{group}.norm{number}.{one}"].view(-1, 1, 1) for one in ("weight", "bias"))
                x = functional.gelu(scale * x / (1 + 1e-5) ** 0.5 + bias)
        expected = x.amax((2, 3)) / 9 @ weights["head.weight"].T + weights["head.bias"]
        torch.testing.assert_close(model(pictures), expected, rtol=1e-4, atol=1e-5)


def test_biases_of_batch_norm_learn_faster():
    model = built()
    fast = {id(one) for group in parameter_groups(model) for one in group.parameters if group.rate > 1}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in fast}
    assert names == {f"group{i}.norm{j}.bias" for i in (1, 2, 3) for j in (1, 2)}
