"""Attention equals torch's own encoder layer and the reference in NumPy; padding changes nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from gnomon.core.errors import UsageError
from gnomon.nn.attention import Across, Additive, Attention, Block, Seen, mask_of, sinusoids
from gnomon.reference import attention as plain

B, T, D, H = 3, 7, 12, 3


def some(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def twin_of(block: Block) -> nn.TransformerEncoderLayer:
    """torch's layer with the block's weights."""
    twin = nn.TransformerEncoderLayer(
        D, H, 4 * D, dropout=0.0, activation="gelu", batch_first=True, norm_first=block.norm == "before",
        dtype=torch.float64,
    )  # fmt: skip
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


def drawn_block(*, is_causal: bool, norm="before", looks_across=False) -> Block:
    torch.manual_seed(1)
    block = Block(D, H, dropout=0.0, is_causal=is_causal, norm=norm, looks_across=looks_across).double()
    for one in block.modules():
        if isinstance(one, nn.LayerNorm):
            nn.init.normal_(one.weight)
            nn.init.normal_(one.bias)
    return block


@pytest.mark.parametrize("norm", ["before", "after"])
@pytest.mark.parametrize("is_causal", [True, False])
def test_a_block_is_torchs_encoder_layer_with_the_same_weights(is_causal, norm):
    block, x = drawn_block(is_causal=is_causal, norm=norm), some(B, T, D).requires_grad_()
    twin, y = twin_of(block), x.detach().clone().requires_grad_()
    later = nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64) if is_causal else None
    ours, theirs = block(x), twin(y, src_mask=later)
    torch.testing.assert_close(ours, theirs)
    (ours**2).sum().backward()
    (theirs**2).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(block.attention.inputs.weight.grad, twin.self_attn.in_proj_weight.grad)


@pytest.mark.parametrize("norm", ["before", "after"])
def test_a_block_that_looks_across_is_torchs_decoder_layer_with_the_same_weights(norm):
    block = drawn_block(is_causal=True, norm=norm, looks_across=True)
    twin = nn.TransformerDecoderLayer(
        D, H, 4 * D, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm == "before", dtype=torch.float64
    )
    names = {
        "attention.inputs": "self_attn.in_proj_", "attention.output": "self_attn.out_proj.", "wide": "linear1.",
        "across.output": "multihead_attn.out_proj.", "narrow": "linear2.", "first_norm": "norm1.",
        "across_norm": "norm2.", "second_norm": "norm3.",
    }  # fmt: skip
    ours = block.state_dict()
    theirs = {theirs + leaf: ours[f"{name}.{leaf}"] for name, theirs in names.items() for leaf in ("weight", "bias")}
    for leaf in ("weight", "bias"):
        both = torch.cat([ours[f"across.queries.{leaf}"], ours[f"across.seen.{leaf}"]])
        theirs[f"multihead_attn.in_proj_{leaf}"] = both
    twin.load_state_dict(theirs)
    x, other = some(B, T, D).requires_grad_(), some(B, 5, D, seed=2).requires_grad_()
    y, another = (one.detach().clone().requires_grad_() for one in (x, other))
    is_there = torch.arange(5) < torch.tensor([5, 2, 1])[:, None]
    assert block.across is not None
    found = block(x, other=Seen(*block.across.kept(other), mask_of(is_there)))
    later = nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64)
    expected = twin.train()(y, another, tgt_mask=later, memory_key_padding_mask=~is_there)
    torch.testing.assert_close(found, expected)
    (found**2).sum().backward()
    (expected**2).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(other.grad, another.grad)
    torch.testing.assert_close(block.across.output.weight.grad, twin.multihead_attn.out_proj.weight.grad)


def test_attention_across_is_the_reference_and_so_are_its_gradients():
    torch.manual_seed(1)
    layer, x, other = Across(D, H).double(), some(B, T, D).requires_grad_(), some(B, 5, D, seed=2).requires_grad_()
    is_there = torch.arange(5) < torch.tensor([5, 2, 1])[:, None]
    found, dY = layer(x, Seen(*layer.kept(other), mask_of(is_there))), some(B, T, D, seed=3)
    found.backward(dY)
    parameters = [one for each in (layer.queries, layer.seen, layer.output) for one in (each.weight, each.bias)]
    arrays = [one.detach().numpy() for one in (x, other, *parameters)]
    options = {"heads": H, "mask": is_there.numpy()[:, None, None]}
    np.testing.assert_allclose(found.detach().numpy(), plain.across_forward(*arrays, **options), rtol=1e-8, atol=1e-12)
    gradients = plain.across_backward(dY.numpy(), *arrays[:-1], **options)
    for one, expected in zip((x, other, *parameters), gradients, strict=True):
        np.testing.assert_allclose(one.grad.numpy(), expected, rtol=1e-8, atol=1e-12)


def test_additive_attention_is_the_reference_and_so_are_its_gradients():
    torch.manual_seed(1)
    layer, x, other = Additive(D, 5, 6).double(), some(B, T, D).requires_grad_(), some(B, 4, 5, seed=2).requires_grad_()
    nn.init.normal_(layer.keys.bias)
    is_there = torch.arange(4) < torch.tensor([4, 2, 1])[:, None]
    (found, weights), dZ = layer(x, layer.keys(other), other, is_there), some(B, T, 5, seed=3)
    found.backward(dZ)
    parameters = (layer.queries.weight, layer.keys.weight, layer.keys.bias, layer.score.weight)
    arrays = [one.detach().numpy() for one in (x, other, *parameters[:3])] + [parameters[3].detach().numpy()[0]]
    expected, their_weights = plain.additive_forward(*arrays, is_there.numpy())
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-8)
    np.testing.assert_allclose(weights.detach().numpy(), their_weights, rtol=1e-8)
    gradients = plain.additive_backward(dZ.numpy(), *arrays, is_there.numpy())
    for one, gradient in zip((x, other, *parameters), gradients, strict=True):
        np.testing.assert_allclose(one.grad.numpy().reshape(gradient.shape), gradient, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("width", [1, 6, 7])
def test_sinusoids_are_the_reference(width):
    np.testing.assert_allclose(sinusoids(torch.arange(9), width).numpy(), plain.sinusoids(9, width), rtol=1e-12)


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
