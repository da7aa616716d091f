"""An encoder and a decoder of one GRU each, for the sample task that spells numbers."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from gnomon.core.family import Family, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS, Knob, Step
from gnomon.core.settings import OwnSettings, setting


class EncoderDecoder(nn.Module):
    """Two GRUs; the second starts from the last state of the first. Source: Cho et al. 2014."""

    def __init__(self, num_words: int, num_tokens: int, width: int) -> None:
        super().__init__()
        self.word_vectors = nn.Embedding(num_words, width)
        self.token_vectors = nn.Embedding(num_tokens, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, num_tokens)

    def encode(self, words: Tensor, lengths: Tensor) -> Tensor:
        """(B, S) word indices -> (1, B, H)."""
        packed = nn.utils.rnn.pack_padded_sequence(
            self.word_vectors(words), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        return self.encoder(packed)[1]

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) tokens after `state` -> logits (B, T, V) of the next ones, and the state after them."""
        hidden, state = self.decoder(self.token_vectors(tokens), state)
        return self.head(hidden), state

    def forward(self, words: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        return self.step(tokens, self.encode(words, lengths))[0]


@final
class GruSettings(OwnSettings):
    """Of the pair of GRUs."""

    width: int = setting(
        64,
        "numbers in a state",
        Knob(
            ("fit-train",),
            steps=(Step("wider", "fit-train", lambda value, _: 2 * value, "it fits more", 0.1, cost=3.0),),
        ),
        ge=1,
    )


def build(wanted: Wanted) -> nn.Module:
    return EncoderDecoder(wanted.inputs.num_words, wanted.num_outputs or 1, wanted.own.width)


FAMILY = Family(
    names=("words-gru",),
    title="two GRUs",
    source="Cho et al. 2014",
    takes=("words",),
    build=build,
    gives=("sequence",),
    settings=GruSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
)
