"""Recurrent nets from one text to another: one reads the source, one writes the target, with or without attention."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import Family, PairInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS, Knob
from gnomon.core.settings import OwnSettings, setting
from gnomon.models._defaults import PAIRS, SHORT_PAIRS, are_short, is_small, pairs_recipe
from gnomon.models._recurrent_knobs import LAYERS, MOST_LAYERS, MOST_UNITS, UNITS
from gnomon.nn.attention import Additive
from gnomon.nn.blocks import one_each
from gnomon.nn.recurrent import FUSED, Recurrent, real_steps
from gnomon.nn.words import shrink


class Memory(NamedTuple):
    """What a decoder needs of the sources, batch first."""

    found: Tensor  # (B, S, 2 H): the states of the encoder, both directions
    keys: Tensor  # (B, S, units): how attention scores them; without attention (B, S, 0)
    summary: Tensor  # (B, 2 H): the states after each direction has read the whole source
    is_there: Tensor  # (B, S) bool


class State(NamedTuple):
    """States of the decoder's layers, of W hypotheses of each sentence."""

    states: Tensor  # (B, W, layers, H), of an LSTM (B, W, layers, 2 H)


@final
class EncoderDecoder(nn.Module):
    """Ids (B, S) of sources and (B, T) of what stands before each place of the targets -> (B, T, V) logits.

    The encoder reads in both directions. The decoder's first layer reads the target's ids; what it gives asks the
    additive attention, and the layers above read both. So all places of a training step are computed layer by layer,
    not place by place: in Bahdanau et al. 2015 the state that asks has itself seen what was found before, here only
    the layers above have (as in Wu et al. 2016). Without attention, what is found is always the encoder's last states
    (Cho et al. 2014), from which the decoder starts as well. Logits are products with the vectors of the target's ids
    (Press & Wolf 2017). Padding changes nothing.
    """

    def __init__(
        self, inputs: PairInputs, *, cell: Literal["gru", "lstm"], units: int, layers: int, embedding: int,
        dropout: float, attends: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.is_lstm = cell == "lstm"
        self.embedding = nn.Embedding(inputs.num_ids, embedding)
        self.target_embedding = self.embedding if inputs.is_shared else nn.Embedding(inputs.num_target_ids, embedding)
        self.dropout = nn.Dropout(dropout)
        self.encoder = Recurrent(embedding, units, cell=cell, num_layers=layers, bidirectional=True, dropout=dropout)
        self.attention = Additive(units, 2 * units, units) if attends else None
        sizes = [embedding, *[3 * units] * (layers - 1)]  # above the first: the layer below, and what was found
        self.decoder = nn.ModuleList(FUSED[cell](size, units, batch_first=True) for size in sizes)
        self.first_states = nn.Linear(2 * units, layers * units * (2 if self.is_lstm else 1))
        self.joined = nn.Linear(3 * units, embedding)
        self.bias = nn.Parameter(torch.zeros(inputs.num_target_ids))

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        shrink(self.embedding)
        shrink(self.target_embedding)

    def forward(self, ids: Tensor, lengths: Tensor, before: Tensor) -> Tensor:
        memory = self.encode(ids, lengths)
        return self._said(*self._decoded(before, memory, self._first(memory))[:2])

    def encode(self, ids: Tensor, lengths: Tensor) -> Memory:
        """What the decoder needs of each source, computed once for all it writes."""
        found, _ = self.encoder(self.dropout(self.embedding(ids)), lengths)
        found = self.dropout(found)
        keys = found[..., :0] if self.attention is None else self.attention.keys(found)
        return Memory(found, keys, self.encoder.last(found, lengths), real_steps(lengths, ids.shape[1]))

    def begin(self, memory: Memory) -> State:
        """Before the first place: one hypothesis of each sentence, which has said nothing."""
        return State(self._first(memory)[:, None])

    def step(self, last: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """(B, W) the last id of W hypotheses of each sentence -> (B, W, V) logits of the next, and the state after.

        The first step may have any W; every other one has that of the state.
        """
        batch, wide = last.shape
        states = state.states.expand(-1, wide, -1, -1)
        upper, found, after = self._decoded(last.reshape(-1, 1), memory, states.flatten(0, 1))
        said = self._said(upper.view(batch, wide, -1), found.view(batch, wide, -1))
        return said, State(after.view(batch, wide, *after.shape[1:]))

    def reordered(self, state: State, rows: Tensor) -> State:
        """The state of hypotheses that go on from those at `rows` (B, W) of each sentence."""
        return State(state.states.gather(1, rows[..., None, None].expand(-1, -1, *state.states.shape[2:])))

    def alignment(self, ids: Tensor, lengths: Tensor, before: Tensor) -> Tensor | None:
        """(B, T, S): how much each place of the target looks at each of the source; None without attention."""
        if self.attention is None:
            return None
        memory = self.encode(ids, lengths)
        lower, _ = self._through(0, self.dropout(self.target_embedding(before)), self._first(memory))
        weights: Tensor = self.attention(lower, memory.keys, memory.found, memory.is_there)[1]
        return weights

    def _first(self, memory: Memory) -> Tensor:
        """(B, layers, H or 2 H): the states that the decoder starts from."""
        drawn = self.first_states(memory.summary).tanh()
        return drawn.view(len(drawn), len(self.decoder), -1)  # type: ignore[no-any-return]

    def _decoded(self, before: Tensor, memory: Memory, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, T, H) of the last layer, (N, T, 2 H) what was found, and the states after.

        N is B, or W times B: of W hypotheses of each sentence, which ask its memory together.
        """
        lower, first = self._through(0, self.dropout(self.target_embedding(before)), states)
        found = self._found(lower, memory)
        after = [first]
        for number in range(1, len(self.decoder)):
            lower, last = self._through(number, torch.cat([self.dropout(lower), found], dim=2), states)
            after.append(last)
        return lower, found, torch.stack(after, dim=1)

    def _found(self, lower: Tensor, memory: Memory) -> Tensor:
        (rows, places, width), batch = lower.shape, len(memory.summary)
        if self.attention is None:
            of_each = memory.summary[:, None, None].expand(-1, rows // batch, places, -1)
            return of_each.reshape(rows, places, -1)
        found, _ = self.attention(lower.reshape(batch, -1, width), memory.keys, memory.found, memory.is_there)
        return found.reshape(rows, places, -1)  # type: ignore[no-any-return]

    def _through(self, number: int, x: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """One layer from its states in `states` (N, layers, H or 2 H): its outputs, and its states after the last."""
        first = states[:, number].contiguous()[None].to(x.dtype)
        if not self.is_lstm:
            outputs, last = self.decoder[number](x, first)
            return outputs, last[0]
        outputs, pair = self.decoder[number](x, tuple(one.contiguous() for one in first.chunk(2, dim=2)))
        return outputs, torch.cat(pair, dim=2)[0]

    def _said(self, upper: Tensor, found: Tensor) -> Tensor:
        joined = self.joined(self.dropout(torch.cat([upper, found], dim=2))).tanh()
        return functional.linear(self.dropout(joined), self.target_embedding.weight, self.bias)


@final
class EncoderDecoderSettings(OwnSettings):
    """Of recurrent nets from one text to another."""

    cell: Literal["gru", "lstm"] = setting("gru", "what carries the state from place to place", Knob())
    units: int | None = setting(
        None,
        "numbers in the state of each layer and direction (default: by the task)",
        UNITS,
        ge=1,
        le=MOST_UNITS,
    )
    layers: int = setting(
        2,
        "recurrent layers of the encoder, and of the decoder",
        LAYERS,
        ge=1,
        le=MOST_LAYERS,
    )
    embedding: int | None = setting(
        None, "numbers that stand for each piece of a text (default: by the task)", ge=1, le=MOST_UNITS
    )


def build(wanted: Wanted) -> nn.Module:
    own, usual = wanted.own, _size(wanted.inputs)
    return EncoderDecoder(
        wanted.inputs, cell=own.cell, units=own.units or usual, layers=own.layers, embedding=own.embedding or usual,
        dropout=one_each(wanted.dropout, 1)[0], attends=wanted.name == "seq2seq-attention",
    )  # fmt: skip


def _size(inputs: PairInputs) -> int:
    return 128 if is_small(inputs) else 256


def defaults(name: str, inputs: PairInputs, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` pairs."""
    size = _size(inputs)
    return {
        **pairs_recipe(inputs, num_train, SHORT_PAIRS if are_short(inputs) else PAIRS),
        "model.units": size,
        "model.embedding": size,
        "regularise.weight_decay": 0.01,
        "regularise.dropout": (0.2 if is_small(inputs) else 0.3,),
        "optimiser.learning_rate": 2e-3,
    }


FAMILY = Family(
    names=("seq2seq-attention", "seq2seq"),
    title="recurrent encoder-decoders",
    source="Sutskever et al. 2014; Cho et al. 2014; Bahdanau et al. 2015",
    takes=("pairs",),
    build=build,
    settings=EncoderDecoderSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    gives=("sequence",),
)
