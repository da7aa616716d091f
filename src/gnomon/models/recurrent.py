"""Recurrent nets over text and series: a state is carried from piece to piece, from step to step."""

from __future__ import annotations

from typing import Any, Literal, cast, final

from torch import Tensor, nn

from gnomon.core.family import Family, SeriesInputs, TextInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS, WHOLE_SEQUENCES, Knob
from gnomon.core.settings import OwnSettings, setting
from gnomon.models._defaults import series_recipe, text_recipe, whole_text_recipe
from gnomon.models._recurrent_knobs import LAYERS, MOST_LAYERS, MOST_UNITS, UNITS
from gnomon.models._words import word_dropout_setting, word_recipe, words_of
from gnomon.nn.blocks import one_each
from gnomon.nn.pooling import largest_over_steps
from gnomon.nn.recurrent import Cell
from gnomon.nn.recurrent import Recurrent as Layers

CELLS: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
USUAL: dict[str, Any] = {"units": 256, "layers": 2, "embedding": 128}


@final
class Recurrent(nn.Module):
    """(B, T) ids -> (B, T, num_outputs) at each place, from that id and all before it."""

    def __init__(
        self, cell: str, num_ids: int, num_outputs: int, *, units: int, layers: int, dropout: float, embedding: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_ids, embedding)
        between = dropout if layers > 1 else 0.0
        self.layers = CELLS[cell](embedding, units, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(units, num_outputs)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        outputs: Tensor = self.step(ids, None)[0]
        return outputs

    def step(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Going on from a state (None: the beginning): what is said at each place, and the state after the last."""
        found, after = self.layers(self.dropout(self.embedding(ids)), state)
        outputs: Tensor = self.head(self.dropout(found))
        return outputs, after


@final
class RecurrentWhole(nn.Module):
    """(B, T) ids or (B, T, D) steps -> (B, num_outputs) of each whole text or series, or (B, T, num_outputs) at each
    place, from all of it.

    With `num_characters`, ids (B, T, 1 + W) of words and their characters. Of a text or series, each feature's largest
    value over its places counts. Padding changes nothing.
    """

    def __init__(
        self, first: nn.Module, embedding: int, cell: Cell, num_outputs: int, *, units: int, layers: int,
        dropout: float, is_bidirectional: bool, at_each_place: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.at_each_place = at_each_place
        self.embedding = first  # (B, T, embedding) of ids or steps
        self.layers = Layers(
            embedding, units, cell=cell, num_layers=layers, bidirectional=is_bidirectional, dropout=dropout
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.layers.num_features, num_outputs)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        found, _ = self.layers(self.dropout(self.embedding(ids)), lengths)  # (B, T, H) or (B, T, 2 H)
        if not self.at_each_place:
            found = largest_over_steps(found, lengths)
        outputs: Tensor = self.head(self.dropout(found))
        return outputs


@final
class RecurrentSettings(OwnSettings):
    """Of recurrent nets."""

    units: int | None = setting(
        None,
        "numbers in the state of each layer (default: by the task)",
        UNITS,
        ge=1,
        le=MOST_UNITS,
    )
    layers: int | None = setting(
        None,
        "recurrent layers, each on the states of the one below (default: by the task)",
        LAYERS,
        ge=1,
        le=MOST_LAYERS,
    )
    embedding: int | None = setting(
        None,
        "numbers that stand for each character or word, or for the features of a step (default: by the task)",
        ge=1,
        le=MOST_UNITS,
    )
    directions: Literal["both", "forward"] = setting(
        "both", "how a text or series is read that is classified, tagged or measured", Knob(needs=WHOLE_SEQUENCES)
    )
    word_dropout: float | None = word_dropout_setting()


def build(wanted: Wanted) -> nn.Module:
    own, inputs, num_outputs = wanted.own, wanted.inputs, wanted.num_outputs or 1
    size = {name: getattr(own, name) or usual for name, usual in USUAL.items()}
    embedding = size.pop("embedding")
    size["dropout"] = one_each(wanted.dropout, 1)[0]
    if wanted.gives == "tokens":
        return Recurrent(wanted.name, inputs.num_ids, num_outputs, **size, embedding=embedding)
    first: nn.Module
    if isinstance(inputs, SeriesInputs):
        first, width = nn.Linear(inputs.num_features, embedding), embedding
    else:
        first, width = words_of(wanted, embedding)
    return RecurrentWhole(
        first, width, cast(Cell, wanted.name), num_outputs, **size, is_bidirectional=own.directions != "forward",
        at_each_place=wanted.gives == "places",
    )  # fmt: skip


def defaults(name: str, inputs: TextInputs | SeriesInputs, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` texts or series."""
    size = {f"model.{key}": value for key, value in USUAL.items()}
    if isinstance(inputs, SeriesInputs):
        return {
            **size, **series_recipe(num_train),
            "model.units": 64, "model.embedding": 64, "regularise.weight_decay": 0.01,
            "regularise.dropout": (0.2,), "optimiser.learning_rate": 3e-3,
        }  # fmt: skip
    if inputs.num_characters:  # words that are tagged, each known by the way it is written, too
        return {
            **size, **text_recipe(num_train, inputs.length), **word_recipe(inputs),
            "model.units": 128, "model.layers": 1, "model.embedding": 64,
            "regularise.weight_decay": 0.01, "regularise.dropout": (0.5,), "optimiser.learning_rate": 3e-3,
        }  # fmt: skip
    if inputs.are_whole:
        return {
            **size, **whole_text_recipe(num_train), **word_recipe(inputs),
            "model.units": 100, "model.layers": 1, "model.embedding": 64,
            "regularise.weight_decay": 0.01, "regularise.dropout": (0.5,), "optimiser.learning_rate": 2e-3,
        }  # fmt: skip
    return {
        **size,
        **text_recipe(num_train, inputs.length),
        "regularise.weight_decay": 0.01,
        "regularise.dropout": (0.2,),
        "optimiser.learning_rate": 2e-3,
    }


FAMILY = Family(
    names=("gru", "lstm", "rnn"),
    title="recurrent nets",
    source="Elman 1990; Hochreiter & Schmidhuber 1997; Cho et al. 2014",
    takes=("text", "series"),
    build=build,
    settings=RecurrentSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    gives=("tokens", "vector", "places"),
)
