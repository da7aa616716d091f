"""The smallest network: one linear layer. Logistic, softmax and linear regression differ only in their loss."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from gnomon.core.family import Family, PictureInputs, SignalInputs, TableInputs, VolumeInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS
from gnomon.models import _defaults
from gnomon.nn.normalise import Normalise


@final
class Linear(nn.Module):
    """forward: numbers (B, D) float, categories (B, C) int64 or None -> (B, num_outputs) scores.

    A category adds its own row of weights to the scores, as if its column had been one-hot encoded.
    """

    offsets: Tensor  # (C,) int64: where each categorical column's rows begin

    def __init__(self, num_features: int, num_outputs: int, category_sizes: Sequence[int]) -> None:
        super().__init__()
        with warnings.catch_warnings():  # torch warns of the layer of biases that a table of only categories leaves
            warnings.simplefilter("ignore", UserWarning)
            self.head = nn.Linear(num_features, num_outputs)
        self.categories = nn.Embedding(sum(category_sizes), num_outputs) if category_sizes else None
        starts = torch.tensor([0, *category_sizes], dtype=torch.int64).cumsum(0)[:-1]
        self.register_buffer("offsets", starts, persistent=False)

    def forward(self, numbers: Tensor, categories: Tensor | None = None) -> Tensor:
        scores: Tensor = self.head(numbers)
        if self.categories is None:
            return scores
        if categories is None:
            raise ValueError(f"this model was built for {len(self.offsets)} categorical columns and got none.")
        rows: Tensor = self.categories(categories + self.offsets)  # (B, C, num_outputs)
        return scores + rows.sum(dim=1)


def linear(num_features: int, num_outputs: int, *, category_sizes: Sequence[int] = ()) -> Linear:
    """Scores linear in the features: logistic (one output), softmax (K outputs) or linear regression, by the loss."""
    return Linear(num_features, num_outputs, category_sizes)


def linear_image(num_features: int, num_outputs: int, *, mean: Sequence[float], std: Sequence[float]) -> nn.Sequential:
    """Scores linear in the pixels: (B, C, H, W) with C·H·W = num_features -> (B, num_outputs)."""
    return nn.Sequential(
        OrderedDict(normalise=Normalise(mean, std), flatten=nn.Flatten(), head=nn.Linear(num_features, num_outputs))
    )


def linear_grid(num_features: int, num_outputs: int) -> nn.Sequential:
    """Scores linear in the values of a signal or volume: (B, C, ...) with num_features values -> (B, num_outputs)."""
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), head=nn.Linear(num_features, num_outputs)))


def build(wanted: Wanted) -> nn.Module:
    inputs, num_outputs = wanted.inputs, wanted.num_outputs or 1
    if isinstance(inputs, PictureInputs):
        num_features = inputs.channels * inputs.height * inputs.width
        return linear_image(num_features, num_outputs, mean=inputs.mean, std=inputs.std)
    if isinstance(inputs, SignalInputs):
        return linear_grid(inputs.channels * inputs.steps, num_outputs)
    if isinstance(inputs, VolumeInputs):
        return linear_grid(inputs.channels * inputs.depth * inputs.height * inputs.width, num_outputs)
    return linear(inputs.num_numbers, num_outputs, category_sizes=inputs.category_sizes)


def defaults(
    name: str, inputs: PictureInputs | SignalInputs | VolumeInputs | TableInputs, num_train: int
) -> dict[str, Any]:
    if isinstance(inputs, PictureInputs):
        return {**_defaults.picture_recipe(num_train), "regularise.augment": "none"}
    if isinstance(inputs, SignalInputs | VolumeInputs):
        return {**_defaults.picture_recipe(num_train), "optimiser.learning_rate": 1e-3}
    return _defaults.linear_table_recipe(num_train)


FAMILY = Family(
    names=("logistic", "linear"),
    title="logistic, softmax and linear regression",
    source="Cox 1958 (logistic regression)",
    takes=("table", "picture", "signal", "volume"),
    build=build,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS}),
    defaults=defaults,
    larger={"logistic": "dense", "linear": "dense"},
)
