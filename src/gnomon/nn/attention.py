"""Attention within a sequence and from one to another, and the block that Transformers are stacked from."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import UsageError

Past = tuple[Tensor, Tensor]  # keys and values (B, heads, S, D / heads) of what came before

Norm = Literal["before", "after"]  # of each layer's inputs, or of what comes out with its inputs added

FEED_FORWARD = 4  # times the width: units of a block's feed-forward layer (Vaswani et al. 2017)
MOST_PLAIN = 256  # places that are looked at by plain products, which keep a number for each pair of them
LONGEST_WAVE = 10_000  # in places, over 2 pi: of the slowest sinusoid (Vaswani et al. 2017, section 3.5)


class Seen(NamedTuple):
    """What places of another sequence, or those before, may be looked at: of one layer, computed once."""

    keys: Tensor  # (B, heads, S, D / heads)
    values: Tensor
    mask: Tensor | None  # bool, (B, 1, 1, S) or (B, 1, T, S): which of them each place looks at; None: at all


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
            mask = mask_of(is_there)
            if self.is_causal:
                mask = mask & _until(x.shape[1], x.shape[1], x.device)
        queries, keys, values = self.divided(x)
        found = _found(queries, keys, values, mask, is_causal=self.is_causal and mask is None)
        return self._joined(found)

    def step(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """`forward` of a causal layer for places that go on from others, whose keys and values were kept."""
        queries, keys, values = self.divided(x)
        if past is not None:
            keys, values = (torch.cat([old, new], dim=2) for old, new in zip(past, (keys, values), strict=True))
        mask = _until(x.shape[1], keys.shape[2], x.device) if x.shape[1] > 1 else None
        found = _found(queries, keys, values, mask)
        return self._joined(found), (keys, values)

    def divided(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values, each (B, heads, T, D / heads)."""
        batch, places, width = x.shape
        each = self.inputs(x).view(batch, places, 3, self.heads, width // self.heads)
        return [one.transpose(1, 2) for one in each.unbind(2)]

    def seeing(self, queries: Tensor, seen: Seen) -> Tensor:
        """(B, T, D): what places find in keys and values that were kept, their own among them."""
        found = _found(queries, seen.keys, seen.values, seen.mask)
        return self._joined(found)

    def _joined(self, found: Tensor) -> Tensor:
        output: Tensor = self.output(found.transpose(1, 2).flatten(2))
        return output


def _found(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, *, is_causal: bool = False) -> Tensor:
    """(B, heads, T, D / heads): scaled dot-product attention, by torch's fused kernel but for short texts in bfloat16.

    There its backward pass takes two to five times as long on a CPU as plain products do.
    """
    is_slow = queries.dtype == torch.bfloat16 and queries.device.type == "cpu" and queries.requires_grad
    if not is_slow or keys.shape[2] > MOST_PLAIN:
        return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=is_causal)
    scores = queries * queries.shape[-1] ** -0.5 @ keys.mT
    if is_causal:
        mask = _until(queries.shape[2], keys.shape[2], queries.device)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1).to(values.dtype) @ values


@final
class Across(nn.Module):
    """(B, T, D) -> (B, T, D): each place looks at all of another sequence, of which `kept` makes keys and values.

    Source: Vaswani et al. 2017, section 3.2.3 (encoder-decoder attention).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.seen = nn.Linear(width, 2 * width)  # keys and values in one product
        self.output = nn.Linear(width, width)

    def kept(self, other: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, heads, S, D / heads) of the other sequence (B, S, D)."""
        batch, places, width = other.shape
        keys, values = self.seen(other).view(batch, places, 2, self.heads, width // self.heads).unbind(2)
        return keys.transpose(1, 2), values.transpose(1, 2)

    def forward(self, x: Tensor, seen: Seen) -> Tensor:
        found = _found(self._asked(x), seen.keys, seen.values, seen.mask)
        output: Tensor = self.output(found.transpose(1, 2).flatten(2))
        return output

    def weights(self, x: Tensor, seen: Seen) -> Tensor:
        """(B, heads, T, S): how much each place looks at each of the other sequence; they sum to 1 over it."""
        queries = self._asked(x)
        scores = queries @ seen.keys.mT / math.sqrt(queries.shape[-1])
        return (scores if seen.mask is None else scores.masked_fill(~seen.mask, -torch.inf)).softmax(dim=-1)

    def _asked(self, x: Tensor) -> Tensor:
        """(B, heads, T, D / heads)."""
        asked: Tensor = self.queries(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        return asked


@final
class Additive(nn.Module):
    """(B, T, H) queries, (B, S, M) memory -> (B, T, M) what each finds and (B, T, S) its weights, which sum to 1.

    Weights are the softmax over the memory of v . tanh(W q + U m + b): a small network of `units` scores each pair.
    Source: Bahdanau et al. 2015, appendix A.1.2.
    """

    def __init__(self, num_queries: int, num_memory: int, units: int) -> None:
        super().__init__()
        self.queries = nn.Linear(num_queries, units, bias=False)
        self.keys = nn.Linear(num_memory, units)
        self.score = nn.Linear(units, 1, bias=False)

    def forward(self, queries: Tensor, keys: Tensor, memory: Tensor, is_there: Tensor) -> tuple[Tensor, Tensor]:
        """`keys` (B, S, units): self.keys of the memory, computed once; `is_there` (B, S) bool: what is no padding."""
        tried = (self.queries(queries)[:, :, None] + keys[:, None]).tanh()  # (B, T, S, units)
        scores = self.score(tried)[..., 0].masked_fill(~mask_of(is_there)[:, 0], -torch.inf)
        weights = scores.softmax(dim=-1)
        return weights @ memory, weights


def mask_of(is_there: Tensor) -> Tensor:
    """(B, S) bool -> (B, 1, 1, S): what may be looked at; where nothing is there all of it, since none gives NaN."""
    return (is_there | ~is_there.any(dim=1, keepdim=True))[:, None, None, :]


def sinusoids(places: Tensor, width: int) -> Tensor:
    """(T,) places -> (T, width) float64: sines of each place at falling frequencies in even columns, cosines in odd.

    Source: Vaswani et al. 2017, section 3.5.
    """
    columns = torch.arange(0, width, 2, dtype=torch.float64, device=places.device)
    angles = places[:, None] * LONGEST_WAVE ** (-columns / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]


def _until(places: int, seen: int, device: torch.device) -> Tensor:
    """(places, seen) bool: whether each of the last `places` may look at each of `seen`: itself, and those before."""
    return torch.ones(places, seen, dtype=torch.bool, device=device).tril(seen - places)


@final
class Block(nn.Module):
    """(B, T, D) -> (B, T, D): attention, then a layer on each place alone; what each gives is added to its inputs.

    With `looks_across`, attention to another sequence between the two. Layer norm of the inputs of each, so that the
    gradient has a way past all of them; with norm="after", as published, of what comes out with the inputs added. With
    dropout on what is added.
    Source: Vaswani et al. 2017, section 3.1; the norm before: Xiong et al. 2020.
    """

    def __init__(
        self, width: int, heads: int, *, dropout: float, is_causal: bool, norm: Norm = "before",
        looks_across: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.norm = norm
        self.first_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, is_causal=is_causal)
        self.across_norm = nn.LayerNorm(width) if looks_across else None
        self.across = Across(width, heads) if looks_across else None
        self.second_norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, FEED_FORWARD * width)
        self.narrow = nn.Linear(FEED_FORWARD * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, is_there: Tensor | None = None, other: Seen | None = None) -> Tensor:
        """`is_there`: as in `Attention`; `other`: what there is of the other sequence, where the block looks across."""
        x = self._added(x, self.attention(self._before(x, self.first_norm), is_there), self.first_norm)
        return self._rest(x, other)

    def step(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """As `Attention.step`."""
        found, kept = self.attention.step(self._before(x, self.first_norm), past)
        return self._rest(self._added(x, found, self.first_norm), None), kept

    def step_into(self, x: Tensor, seen: Seen, first: int, other: Seen) -> Tensor:
        """`forward` of places that go on from others, all of which `seen` has room for: theirs go to `first` and on."""
        queries, keys, values = self.attention.divided(self._before(x, self.first_norm))
        seen.keys[:, :, first:] = keys
        seen.values[:, :, first:] = values
        return self._rest(self._added(x, self.attention.seeing(queries, seen), self.first_norm), other)

    def looks(self, x: Tensor, other: Seen) -> Tensor:
        """(B, heads, T, S): the weights with which `forward`, given `x`, looks at the other sequence."""
        assert self.across is not None and self.across_norm is not None
        x = self._added(x, self.attention(self._before(x, self.first_norm)), self.first_norm)
        return self.across.weights(self._before(x, self.across_norm), other)

    def _rest(self, x: Tensor, other: Seen | None) -> Tensor:
        if self.across is not None:
            assert other is not None and self.across_norm is not None
            x = self._added(x, self.across(self._before(x, self.across_norm), other), self.across_norm)
        wide = functional.gelu(self.wide(self._before(x, self.second_norm)))
        return self._added(x, self.narrow(wide), self.second_norm)

    def _before(self, x: Tensor, norm: nn.Module) -> Tensor:
        return norm(x) if self.norm == "before" else x  # type: ignore[no-any-return]

    def _added(self, x: Tensor, found: Tensor, norm: nn.Module) -> Tensor:
        added: Tensor = x + self.dropout(found)
        return added if self.norm == "before" else norm(added)  # type: ignore[no-any-return]
