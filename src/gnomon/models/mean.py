"""The mean of a text's word vectors, and one linear layer on it, or a hidden one between: the order is forgotten."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from gnomon.core.family import Family, TextInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS, Knob, Search, Step
from gnomon.core.settings import OwnSettings, setting
from gnomon.models._defaults import text_recipe
from gnomon.models._words import word_dropout_setting, words_of
from gnomon.nn.blocks import one_each
from gnomon.nn.pooling import mean_over_steps

MOST_UNITS = 4096


@final
class Mean(nn.Module):
    """(B, T) ids -> (B, num_outputs) of each text. Padding changes nothing."""

    def __init__(self, words: nn.Module, embedding: int, num_outputs: int, *, units: int, dropout: float) -> None:
        super().__init__()
        self.embedding = words
        self.hidden = nn.Linear(embedding, units) if units else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(units or embedding, num_outputs)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        found = self.dropout(mean_over_steps(self.embedding(ids), lengths))
        if self.hidden is not None:
            found = self.dropout(self.hidden(found).relu())
        outputs: Tensor = self.head(found)
        return outputs


@final
class MeanSettings(OwnSettings):
    """Of the mean of word vectors."""

    embedding: int = setting(128, "numbers that stand for each word", ge=1, le=MOST_UNITS)
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
    word_dropout: float = word_dropout_setting()


def build(wanted: Wanted) -> nn.Module:
    own, dropout = wanted.own, one_each(wanted.dropout, 1)[0]
    words, width = words_of(wanted, own.embedding)
    return Mean(words, width, wanted.num_outputs or 1, units=own.units, dropout=dropout)


def defaults(name: str, inputs: TextInputs, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` texts."""
    return {
        **text_recipe(num_train, inputs.length),
        "regularise.weight_decay": 0.01,
        "regularise.dropout": (0.2,),
        "optimiser.learning_rate": 2e-3,
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
