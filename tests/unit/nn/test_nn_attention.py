"""Attention equals torch's own encoder layer and the reference in NumPy; padding changes nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.core.errors import UsageError
from gnomon.nn.attention import Attention, Block
from gnomon.reference import attention as plain

B, T, D, H = 3, 7, 12, 3


def some(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def twin_of(block: Block) -> nn.TransformerEncoderLayer:
    """torch's layer with the block's weights."""
    twin = nn.TransformerEncoderLayer(
        D, H, 4 * D, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    names = {
        "attention.inputs": "self_attn.in_proj_", "attention.output": "self_attn.out_proj.", "wide": "linear1.",
        "narrow": "linear2.", "first_norm": "norm1.", "second_norm": "norm2.",
    }  # fmt: skip
    theirs = {
        names[layer] + leaf: value.detach().clone()
        for layer, _, leaf in (name.rpartition(".") for name in block.state_dict())
        for value in (block.get_parameter(f"{layer}.{leaf}"),)
    }
    twin.load_state_dict(theirs)
    return twin.train()  # not the fast path of evaluation: NaN where a text is padding alone


def drawn_block(*, is_causal: bool) -> Block:
    torch.manual_seed(1)
    block = Block(D, H, dropout=0.0, is_causal=is_causal).double()
    for norm in (block.first_norm, block.second_norm):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return block


@pytest.mark.parametrize("is_causal", [True, False])
def test_a_block_is_torchs_encoder_layer_with_the_same_weights(is_causal):
    block, x = drawn_block(is_causal=is_causal), some(B, T, D).requires_grad_()
    twin, y = twin_of(block), x.detach().clone().requires_grad_()
    later = nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64) if is_causal else None
    ours, theirs = block(x), twin(y, src_mask=later)
    torch.testing.assert_close(ours, theirs)
    (ours**2).sum().backward()
    (theirs**2).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(block.attention.inputs.weight.grad, twin.self_attn.in_proj_weight.grad)


def test_a_block_with_padding_is_torchs_on_what_is_there():
    block, x = drawn_block(is_causal=False), some(B, T, D)
    is_there = torch.arange(T) < torch.tensor([7, 4, 1])[:, None]
    ours, theirs = block(x, is_there), twin_of(block)(x, src_key_padding_mask=~is_there)
    torch.testing.assert_close(ours[is_there], theirs[is_there])


def test_a_text_of_padding_alone_is_finite_and_changes_no_other():
    block, x = drawn_block(is_causal=False).eval(), some(B, T, D)
    is_there = torch.ones(B, T, dtype=torch.bool)
    is_there[1] = False
    with torch.no_grad():
        found = block(x, is_there)
    assert found.isfinite().all()
    torch.testing.assert_close(found[0], block(x[:1])[0])


def test_attention_is_the_reference():
    layer, x = Attention(D, H, is_causal=True).double(), some(B, T, D)
    expected = plain.multi_head_forward(
        x.numpy(), *(parameter.detach().numpy() for parameter in layer.parameters()), heads=H,
        mask=plain.causal_mask(T),
    )  # fmt: skip
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("parts", [[1] * T, [3, 4], [1, 5, 1], [T]])
def test_going_on_from_kept_keys_and_values_is_the_whole_at_once(parts):
    block, x = drawn_block(is_causal=True), some(B, T, D)
    past, found = None, []
    for part in x.split(parts, dim=1):
        said, past = block.step(part, past)
        found.append(said)
    torch.testing.assert_close(torch.cat(found, dim=1), block(x))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(UsageError, match=r"5 attention heads do not divide a width of 12\. .*multiple of 5"):
        Attention(12, 5, is_causal=True)


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("is_padded", [True, False])
def test_bfloat16_gives_what_float64_gives_and_so_do_its_gradients(is_causal, is_padded):
    exact, x = Attention(16, 2, is_causal=is_causal).double(), some(B, T, 16).requires_grad_()
    is_there = torch.arange(T) < torch.tensor([7, 4, 1])[:, None] if is_padded else None
    (found := exact(x, is_there)).square().sum().backward()
    short, y = Attention(16, 2, is_causal=is_causal), x.detach().float().requires_grad_()
    short.load_state_dict(exact.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        (rough := short(y, is_there)).square().sum().backward()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        fused = short(y, is_there)
    torch.testing.assert_close(rough.double(), found, atol=0.02, rtol=0.02)
    torch.testing.assert_close(fused.double(), found, atol=0.02, rtol=0.02)
    torch.testing.assert_close(y.grad.double(), x.grad, atol=0.04, rtol=0.04)
