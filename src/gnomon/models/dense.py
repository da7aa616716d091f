"""Dense networks of any width and depth, on tables and on pictures. With no hidden layer: linear models."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from gnomon.core.family import Family, PictureInputs, TableInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS, NUMBERS, Knob
from gnomon.core.settings import Activations, OwnSettings, Widths, setting
from gnomon.models import _defaults, _fields
from gnomon.nn.activations import Activation
from gnomon.nn.bins import QuantileBins
from gnomon.nn.blocks import Normalisation, activation_each, dense_block, one_each
from gnomon.nn.normalise import Normalise

EMBEDDING_SCALE = 0.25  # of he's sqrt(2), at which rare values are learned by heart (docs/log.md)
MAX_EMBEDDING = 50  # columns per categorical column, at most


def embedding_width(category_size: int) -> int:
    """Columns given to a categorical column of `category_size` values: 1.6 size^0.56, at most 50: 2 -> 2, 10 -> 6.

    Source: the rule of thumb of the fastai library (tabular models).
    """
    return min(MAX_EMBEDDING, round(1.6 * math.pow(category_size, 0.56)))


@final
class TableNet(nn.Module):
    """Numbers, in `bins` if there are any, beside embedded categories, through `body`, to `head`.

    forward: numbers (B, D) float, categories (B, C) int64 (column c in [0, category_sizes[c])), or None where the
    table has none -> (B, num_outputs).
    """

    def __init__(
        self, embeddings: nn.ModuleList, body: nn.Sequential, head: nn.Linear, bins: QuantileBins | None = None
    ) -> None:
        super().__init__()
        self.bins = bins
        self.embeddings = embeddings
        self.body = body
        self.head = head

    def forward(self, numbers: Tensor, categories: Tensor | None = None) -> Tensor:
        if self.bins is not None:
            numbers = self.bins(numbers)
        if self.embeddings:
            if categories is None:
                raise ValueError(f"this net was built for {len(self.embeddings)} categorical columns and got none.")
            columns = [embed(categories[:, c]) for c, embed in enumerate(self.embeddings)]
            numbers = torch.cat([numbers, *columns], dim=1)
        outputs: Tensor = self.head(self.body(numbers))
        return outputs

    def start(self, _generator: torch.Generator) -> None:
        """Embeddings start smaller than a scheme draws them, beside numbers of standard deviation 1."""
        for embedding in self.embeddings:
            assert isinstance(embedding, nn.Embedding)
            embedding.weight.mul_(EMBEDDING_SCALE)

    def plain_layers(self) -> list[nn.Module]:
        """All there is, in order; the embeddings stand beside what comes before. Dense layers need no autograd."""
        first = [] if self.bins is None else [self.bins]
        beside = [self.embeddings] if self.embeddings else []
        return [*first, *beside, self.body, self.head]


def dense(
    num_features: int,
    num_outputs: int,
    *,
    hidden: Sequence[int],
    activation: Activation | Sequence[Activation] = "relu",
    dropout: Sequence[float] = (),
    normalisation: Normalisation = "none",
    category_sizes: Sequence[int] = (),
    edges: Sequence[Sequence[float]] = (),
) -> TableNet:
    """A dense net for tables: D = num_features numbers and len(category_sizes) categorical columns.

    `activation`: one for all hidden layers, or one each. `dropout`: probability of zeroing a unit, one value or one per
    hidden layer. `edges`: of the bins of each of the numbers, as in `QuantileBins`; empty for none. Raises UsageError
    if their counts do not fit `hidden`.
    """
    bins = QuantileBins(edges) if any(edges) else None
    embeddings = nn.ModuleList(nn.Embedding(size, embedding_width(size)) for size in category_sizes)
    width = num_features + (0 if bins is None else len(bins.column)) + sum(map(embedding_width, category_sizes))
    body = nn.Sequential(_hidden_layers(width, hidden, activation, dropout, normalisation))
    return TableNet(embeddings, body, nn.Linear(hidden[-1] if hidden else width, num_outputs), bins)


def dense_image(
    num_features: int,
    num_outputs: int,
    *,
    hidden: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    activation: Activation | Sequence[Activation] = "relu",
    dropout: Sequence[float] = (),
    normalisation: Normalisation = "none",
) -> nn.Sequential:
    """A dense net for pictures: (B, C, H, W) with C·H·W = num_features, normalised and flattened -> (B, num_outputs).

    Settings as in `dense`; `mean` and `std` per channel as in `Normalise`.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalise=Normalise(mean, std), flatten=nn.Flatten())
    layers.update(_hidden_layers(num_features, hidden, activation, dropout, normalisation))
    layers["head"] = nn.Linear(hidden[-1] if hidden else num_features, num_outputs)
    return nn.Sequential(layers)


def _hidden_layers(
    width: int,
    hidden: Sequence[int],
    activation: Activation | Sequence[Activation],
    dropout: Sequence[float],
    normalisation: Normalisation,
) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    names, rates = activation_each(activation, len(hidden)), one_each(dropout, len(hidden))
    widths = zip((width, *hidden), hidden, names, rates, strict=False)
    for number, (num_inputs, num_units, name, rate) in enumerate(widths, start=1):
        layers[f"dense{number}"] = dense_block(
            num_inputs, num_units, activation_name=name, dropout=rate, normalisation=normalisation
        )
    return layers


SMALL_TABLE = 1_000  # rows; with fewer, bins give a net more ways to memorise, and more dropout fewer (docs/log.md)
COLUMNS_FOR_BINS = 200  # of numbers: bins make nine of each
HIDDEN = (128,)  # units of the hidden layers if the settings leave them unset


@final
class DenseSettings(OwnSettings):
    """Of a dense net."""

    hidden: Widths | None = _fields.hidden("units of each hidden layer, e.g. 256,128", is_body=True)
    activation: Activations | None = _fields.activation()
    normalisation: _fields.Normalised | None = _fields.normalisation()
    bins: bool | None = setting(
        None,
        "each number also as its position in eight quantile bins of its column (tables)",
        Knob(("fit-train",), needs=NUMBERS),
    )


def build(wanted: Wanted) -> nn.Module:
    own, inputs, num_outputs = wanted.own, wanted.inputs, wanted.num_outputs or 1
    hidden = HIDDEN if own.hidden is None else own.hidden
    activation: Sequence[Activation] = own.activation or ("relu",)
    normalisation: Normalisation = own.normalisation or "none"
    if isinstance(inputs, PictureInputs):
        return dense_image(
            inputs.channels * inputs.height * inputs.width, num_outputs, hidden=hidden, mean=inputs.mean,
            std=inputs.std, activation=activation, dropout=wanted.dropout, normalisation=normalisation,
        )  # fmt: skip
    return dense(
        inputs.num_numbers, num_outputs, hidden=hidden, activation=activation, dropout=wanted.dropout,
        normalisation=normalisation, category_sizes=inputs.category_sizes, edges=inputs.edges if own.bins else (),
    )  # fmt: skip


def defaults(name: str, inputs: PictureInputs | TableInputs, num_train: int) -> dict[str, Any]:
    if isinstance(inputs, PictureInputs):
        # Shifted pictures help a convnet; a net with separate weights for every pixel only gets worse.
        return {
            **_defaults.picture_recipe(num_train),
            "model.hidden": HIDDEN,
            "model.activation": "relu",
            "model.normalisation": "batch",
            "regularise.dropout": (0.3,),
            "regularise.augment": "none",
        }
    return {
        **_defaults.table_recipe(num_train),
        "model.hidden": (256, 256),
        "model.activation": "relu",
        "model.normalisation": "none",
        "model.bins": num_train >= SMALL_TABLE and inputs.num_numbers <= COLUMNS_FOR_BINS,
        "regularise.dropout": (0.4 if num_train < SMALL_TABLE else 0.2,),
    }


def abilities(name: str, own: DenseSettings) -> frozenset[str]:
    has_hidden = own.hidden is None or len(own.hidden) > 0
    return frozenset({DRAWN_WEIGHTS, *({HIDDEN_LAYERS, DROPOUT} if has_hidden else ())})


FAMILY = Family(
    names=("dense",),
    title="dense nets",
    source="Rumelhart, Hinton & Williams 1986; embeddings of categories: Guo & Berkhahn 2016",
    takes=("table", "picture"),
    build=build,
    settings=DenseSettings,
    abilities=abilities,
    defaults=defaults,
)
