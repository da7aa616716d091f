"""The Transformer from one text to another: an encoder reads the source, a decoder writes the target."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import PairInputs
from gnomon.nn.attention import Block, Norm, Seen, mask_of, sinusoids
from gnomon.nn.recurrent import real_steps

FIRST_PLACES = 16  # that a search has room for; where they are used up, twice as many


class Memory(NamedTuple):
    """What a decoder looks at of the sources, batch first: keys and values of all L layers, and what is no padding."""

    keys: Tensor  # (B, L, heads, S, D / heads)
    values: Tensor
    is_there: Tensor  # (B, S) bool


class State(NamedTuple):
    """What hypotheses have said so far. Those of a sentence share one store of keys and values, which grows in place.

    So a hypothesis that goes on from another one copies no keys: it only says whose places it looks at. A state is
    good for one step.
    """

    keys: Tensor  # (B, L, heads, room, D / heads)
    values: Tensor
    own: Tensor  # (B, W, T) int64: where in the store the T places of each of W hypotheses are
    used: int  # places of the store


@final
class TransformerPairs(nn.Module):
    """Ids (B, S) of sources and (B, T) of what stands before each place of the targets -> (B, T, V) logits.

    Positions are sinusoids, so that any length works; without `has_places` there are none, to see what they are for.
    Logits are products with the vectors of the target's ids. With `is_shared` both sides have one table of vectors.
    Padding changes nothing.
    Source: Vaswani et al. 2017, sections 3.1, 3.4 and 3.5.
    """

    def __init__(
        self, inputs: PairInputs, *, width: int, layers: int, heads: int, dropout: float, norm: Norm = "before",
        has_places: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.width, self.has_places = width, has_places
        self.embedding = nn.Embedding(inputs.num_ids, width)
        self.target_embedding = self.embedding if inputs.is_shared else nn.Embedding(inputs.num_target_ids, width)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.ModuleList(
            Block(width, heads, dropout=dropout, is_causal=False, norm=norm) for _ in range(layers)
        )
        self.decoder = nn.ModuleList(
            Block(width, heads, dropout=dropout, is_causal=True, norm=norm, looks_across=True) for _ in range(layers)
        )
        is_before = norm == "before"
        self.encoder_norm = nn.LayerNorm(width) if is_before else nn.Identity()
        self.decoder_norm = nn.LayerNorm(width) if is_before else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(inputs.num_target_ids))

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Vectors of about length 1, which are read sqrt(D) times as large; blocks that add the less the more of them.

        After published norms, which scale what is added, blocks start as they are. What the last norm gives is small:
        it is multiplied with the vectors that the decoder has read, and would foretell the last piece once more.
        """
        usual = self.width**-0.5
        for table in (self.embedding, self.target_embedding):
            table.weight.mul_(usual / max(float(table.weight.std()), usual))
        if isinstance(self.decoder_norm, nn.Identity):
            self.decoder[-1].second_norm.weight.fill_(usual)  # type: ignore[union-attr,operator]
            return
        self.decoder_norm.weight.fill_(usual)
        for blocks, each in ((self.encoder, 2), (self.decoder, 3)):
            for block in blocks:
                for name, weight in block.named_parameters():
                    if name.endswith(("output.weight", "narrow.weight")):
                        weight.div_(math.sqrt(each * len(blocks)))

    def forward(self, ids: Tensor, lengths: Tensor, before: Tensor) -> Tensor:
        return self._said(self._decoded(self._read(ids, lengths), lengths, before))

    def encode(self, ids: Tensor, lengths: Tensor) -> Memory:
        """What the decoder needs of each source, computed once for all it writes."""
        found = self._read(ids, lengths)
        kept = [block.across.kept(found) for block in self.decoder]  # type: ignore[union-attr,operator]
        keys, values = (torch.stack(each, dim=1) for each in zip(*kept, strict=True))
        return Memory(keys, values, real_steps(lengths, ids.shape[1]))

    def begin(self, memory: Memory) -> State:
        """Before the first place: hypotheses that have said nothing, as many as the first step is given."""
        batch, layers, heads, _, each = memory.keys.shape
        empty = memory.keys.new_empty(batch, layers, heads, 0, each)
        own = torch.empty(batch, 1, 0, dtype=torch.long, device=empty.device)
        return State(empty, empty, own, 0)

    def step(self, last: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """(B, W) the last id of W hypotheses of each sentence -> (B, W, V) logits of the next, and the state after.

        The first step may have any W; every other one has that of the state.
        """
        batch, wide = last.shape
        place, first = state.own.shape[2], state.used
        here = torch.arange(first, first + wide, device=last.device)
        own = torch.cat([state.own.expand(-1, wide, -1), here[:, None].expand(batch, -1, 1)], dim=2)
        keys, values = (_with_room(one, first, first + wide) for one in (state.keys, state.values))
        looks_at = torch.zeros(batch, wide, first + wide, dtype=torch.bool, device=last.device).scatter_(2, own, True)
        there = mask_of(memory.is_there)
        x = self._placed(self.target_embedding, last, torch.tensor([place], device=last.device))
        for number, block in enumerate(self.decoder):
            own_keys, own_values = (one[:, number, :, : first + wide] for one in (keys, values))
            seen = Seen(own_keys, own_values, looks_at[:, None])
            other = Seen(memory.keys[:, number], memory.values[:, number], there)
            x = block.step_into(x, seen, first, other)  # type: ignore[operator]
        return self._said(self.decoder_norm(x)), State(keys, values, own, first + wide)

    def reordered(self, state: State, rows: Tensor) -> State:
        """The state of hypotheses that go on from those at `rows` (B, W) of each sentence."""
        own = state.own.gather(1, rows[..., None].expand(-1, -1, state.own.shape[2]))
        return state._replace(own=own)

    def alignment(self, ids: Tensor, lengths: Tensor, before: Tensor) -> Tensor:
        """(B, T, S): how much each place of the target looks at each of the source, on average over the heads.

        Of the last layer but one, which looks at the words that it translates more than others do (Garg et al. 2019).
        """
        found = self._read(ids, lengths)
        place = max(0, len(self.decoder) - 2)
        x = self._decoded(found, lengths, before, until=place)
        block: Block = self.decoder[place]  # type: ignore[assignment]
        return block.looks(x, self._seen(block, found, lengths)).mean(dim=1)

    def _read(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, S, D): what the encoder makes of the sources."""
        is_there = real_steps(lengths, ids.shape[1])
        x = self._placed(self.embedding, ids, torch.arange(ids.shape[1], device=ids.device))
        for block in self.encoder:
            x = block(x, is_there)
        found: Tensor = self.encoder_norm(x)
        return found

    def _decoded(self, found: Tensor, lengths: Tensor, before: Tensor, until: int | None = None) -> Tensor:
        """(B, T, D). Padding stands after a target, where nothing of it looks."""
        x = self._placed(self.target_embedding, before, torch.arange(before.shape[1], device=before.device))
        for block in self.decoder[:until]:
            x = block(x, other=self._seen(block, found, lengths))  # type: ignore[arg-type]
        return x if until is not None else self.decoder_norm(x)  # type: ignore[no-any-return]

    def _seen(self, block: Block, found: Tensor, lengths: Tensor) -> Seen:
        assert block.across is not None
        return Seen(*block.across.kept(found), mask_of(real_steps(lengths, found.shape[1])))

    def _placed(self, table: nn.Embedding, ids: Tensor, places: Tensor) -> Tensor:
        vectors = table(ids) * math.sqrt(self.width)
        if self.has_places:
            vectors = vectors + sinusoids(places, self.width).to(vectors.dtype)
        placed: Tensor = self.dropout(vectors)
        return placed

    def _said(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.target_embedding.weight, self.bias)


def _with_room(kept: Tensor, used: int, needed: int) -> Tensor:
    """(B, L, heads, room, d) with room for `needed` places: the same, or a larger store with what is used."""
    if needed <= kept.shape[3]:
        return kept
    batch, layers, heads, _, each = kept.shape
    larger = kept.new_empty(batch, layers, heads, max(2 * needed, FIRST_PLACES), each)
    larger[:, :, :, :used] = kept[:, :, :, :used]
    return larger
