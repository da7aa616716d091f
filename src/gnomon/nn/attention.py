"""Attention within a sequence, and the block that Transformers are stacked from."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import UsageError

Past = tuple[Tensor, Tensor]  # keys and values (B, heads, S, D / heads) of what came before

FEED_FORWARD = 4  # times the width: units of a block's feed-forward layer (Vaswani et al. 2017)


@final
class Attention(nn.Module):
    """(B, T, D) -> (B, T, D): each place looks at all of them, or, if `is_causal`, at itself and those before it.

    `heads` times scaled dot-product attention, each on D / heads numbers. There is no dropout on the attention itself:
    torch's fused kernel has none on a CPU. Raises UsageError where `heads` does not divide the width.
    Source: Vaswani et al. 2017, section 3.2.
    """

    def __init__(self, width: int, heads: int, *, is_causal: bool) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(
                f"{heads} attention heads do not divide a width of {width}.",
                fix=f"use a width that is a multiple of {heads}.",
            )
        self.heads, self.is_causal = heads, is_causal
        self.inputs = nn.Linear(width, 3 * width)  # queries, keys and values in one product
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, is_there: Tensor | None = None) -> Tensor:
        """`is_there` (B, T) bool: places that may be looked at; all, where a text has none (not NaN, as torch has)."""
        mask = None
        if is_there is not None:
            mask = (is_there | ~is_there.any(dim=1, keepdim=True))[:, None, None, :]
            if self.is_causal:
                mask = mask & _until(x.shape[1], x.shape[1], x.device)
        queries, keys, values = self._divided(x)
        found = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=self.is_causal and mask is None
        )
        return self._joined(found)

    def step(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """`forward` of a causal layer for places that go on from others, whose keys and values were kept."""
        queries, keys, values = self._divided(x)
        if past is not None:
            keys, values = (torch.cat([old, new], dim=2) for old, new in zip(past, (keys, values), strict=True))
        mask = _until(x.shape[1], keys.shape[2], x.device) if x.shape[1] > 1 else None
        found = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return self._joined(found), (keys, values)

    def _divided(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values, each (B, heads, T, D / heads)."""
        batch, places, width = x.shape
        each = self.inputs(x).view(batch, places, 3, self.heads, width // self.heads)
        return [one.transpose(1, 2) for one in each.unbind(2)]

    def _joined(self, found: Tensor) -> Tensor:
        output: Tensor = self.output(found.transpose(1, 2).flatten(2))
        return output


def _until(places: int, seen: int, device: torch.device) -> Tensor:
    """(places, seen) bool: whether each of the last `places` may look at each of `seen`: itself, and those before."""
    return torch.ones(places, seen, dtype=torch.bool, device=device).tril(seen - places)


@final
class Block(nn.Module):
    """(B, T, D) -> (B, T, D): attention, then a layer on each place alone; each on normed inputs, added to them.

    Layer norm before each of the two, so that the gradient has a way past all of them. With dropout on what is added.
    Source: Vaswani et al. 2017, section 3.1; the place of the norms: Xiong et al. 2020.
    """

    def __init__(self, width: int, heads: int, *, dropout: float, is_causal: bool) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, is_causal=is_causal)
        self.second_norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, FEED_FORWARD * width)
        self.narrow = nn.Linear(FEED_FORWARD * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, is_there: Tensor | None = None) -> Tensor:
        """`is_there`: as in `Attention`."""
        return self._each(x + self.dropout(self.attention(self.first_norm(x), is_there)))

    def step(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """As `Attention.step`."""
        found, kept = self.attention.step(self.first_norm(x), past)
        return self._each(x + self.dropout(found)), kept

    def _each(self, x: Tensor) -> Tensor:
        added: Tensor = self.dropout(self.narrow(functional.gelu(self.wide(self.second_norm(x)))))
        return x + added
