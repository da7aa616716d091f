"""The mean of a text's word vectors and of its word pairs, and one linear layer on it, or a hidden one between."""

from __future__ import annotations

from typing import Any, cast, final

import torch
from torch import Tensor, nn

from gnomon.core.family import Family, TextInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS, Knob, Search, Step
from gnomon.core.settings import OwnSettings, setting
from gnomon.models._defaults import whole_text_recipe
from gnomon.models._words import word_dropout_setting, word_recipe, words_of
from gnomon.nn.blocks import one_each
from gnomon.nn.pooling import mean_over_steps
from gnomon.nn.words import UNKNOWN, WordVectors, shrink

MOST_UNITS = 4096
MOST_PAIRS = 1 << 15  # rows of the table of pairs
PAIRS_EACH = 4  # of these rows for each word that train has
FACTOR = 1_000_003  # a prime: pairs of neighbouring ids are spread over the table


@final
class Mean(nn.Module):
    """(B, T) ids -> (B, num_outputs) of each text. Padding changes nothing.

    Beside the mean of the words stands that of their pairs of neighbours, `bigrams` numbers each, which are looked up
    by their hash in a table of `num_rows` rows: "not good" is one of them. 0: no pairs.
    """

    def __init__(
        self, words: WordVectors, embedding: int, num_outputs: int, *, bigrams: int, num_rows: int, units: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding = words
        self.bigrams = nn.Embedding(num_rows, bigrams) if bigrams else None
        self.num_rows = num_rows
        self.hidden = nn.Linear(embedding + bigrams, units) if units else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(units or embedding + bigrams, num_outputs)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        if self.bigrams is not None:
            shrink(self.bigrams)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        ids = self.embedding.read(ids)
        found = mean_over_steps(self.embedding.of(ids), lengths)
        if self.bigrams is not None:
            first, second = ids[:, :-1], ids[:, 1:]
            are_known = (first > UNKNOWN) & (second > UNKNOWN)  # a pair with a word that is left out is left out, too
            pairs = self.bigrams((first * FACTOR + second) % self.num_rows) * are_known[..., None]
            found = torch.cat([found, mean_over_steps(pairs, (lengths - 1).clamp_min(0))], dim=1)
        found = self.dropout(found)
        if self.hidden is not None:
            found = self.dropout(self.hidden(found).relu())
        outputs: Tensor = self.head(found)
        return outputs


@final
class MeanSettings(OwnSettings):
    """Of the mean of word vectors."""

    embedding: int = setting(32, "numbers that stand for each word", ge=1, le=MOST_UNITS)
    bigrams: int = setting(
        32,
        "numbers that stand for each pair of neighbouring words; 0: pairs are not looked at",
        ge=0,
        le=MOST_UNITS,
    )
    units: int = setting(
        0,
        "units of a hidden layer on the mean; 0: none, the answer is linear in it",
        Knob(
            ("fit-train",),
            steps=(
                Step(
                    "wider", "fit-train", lambda v, _: max(64, 2 * v) if 2 * v <= MOST_UNITS else None,
                    "a linear answer weighs each word alone", 0.03, cost=1.2,
                ),
            ),
            search=(Search("whole", 3, lambda v, _: (0, max(256, 2 * v))),),
        ),
        ge=0,
        le=MOST_UNITS,
    )  # fmt: skip
    word_dropout: float | None = word_dropout_setting()


def build(wanted: Wanted) -> nn.Module:
    own, dropout = wanted.own, one_each(wanted.dropout, 1)[0]
    words, width = words_of(wanted, own.embedding)
    num_rows = min(MOST_PAIRS, PAIRS_EACH * (wanted.inputs.num_ids - wanted.inputs.num_fixed))
    return Mean(
        cast(WordVectors, words), width, wanted.num_outputs or 1, bigrams=own.bigrams, num_rows=num_rows,
        units=own.units, dropout=dropout,
    )  # fmt: skip


def defaults(name: str, inputs: TextInputs, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` texts."""
    return {
        **whole_text_recipe(num_train),
        **word_recipe(inputs),
        "regularise.weight_decay": 0.01,
        "regularise.dropout": (0.4,),
        "optimiser.learning_rate": 6e-3,
    }


FAMILY = Family(
    names=("mean",),
    title="mean of word vectors",
    source="Iyyer et al. 2015; Joulin et al. 2017",
    takes=("text",),
    build=build,
    settings=MeanSettings,
    abilities=lambda _name, own: frozenset({DRAWN_WEIGHTS, DROPOUT, *([HIDDEN_LAYERS] if own.units else [])}),
    defaults=defaults,
    gives=("vector",),
)
