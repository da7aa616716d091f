"""From the settings of a model to the model."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.settings import Activation, ModelSettings
from gnomon.models.convnet import convnet
from gnomon.models.dense import dense, dense_image
from gnomon.models.lenet import lenet5
from gnomon.models.linear import linear, linear_image
from gnomon.nn.blocks import Normalisation

CUSTOM = "custom"  # the name of a model that the user hands over

IMAGE_MODELS = ("convnet", "lenet5", "dense", "logistic")
TABLE_MODELS = ("dense", "logistic", "linear")

ACTIVATION: tuple[Activation, ...] = ("relu",)  # of every hidden layer, where the settings leave it open
HIDDEN = (128,)  # units of the hidden layers of a dense net, where the settings leave them open
CHANNELS = (32, 64)  # filters of the stages of a convnet, likewise


def build_image_model(
    model: ModelSettings,
    *,
    dropout: Sequence[float],
    num_outputs: int,
    size: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
) -> nn.Module:
    """(B, C, H, W) pictures with size = (C, H, W), uint8 or float in [0, 1] -> (B, num_outputs).

    Raises UsageError for an architecture that is not one for pictures, or settings that do not fit it.
    """
    channels_in, height, width = size
    num_features = channels_in * height * width
    hidden = model.hidden
    activation = model.activation or ACTIVATION
    normalisation: Normalisation = model.normalisation or "none"
    match model.name:
        case "logistic" | "linear":
            return linear_image(num_features, num_outputs, mean=mean, std=std)
        case "dense":
            return dense_image(
                num_features,
                num_outputs,
                hidden=HIDDEN if hidden is None else hidden,
                mean=mean,
                std=std,
                activation=activation,
                dropout=dropout,
                normalisation=normalisation,
            )
        case "lenet5":
            return lenet5(
                channels_in,
                num_outputs,
                image_size=(height, width),
                mean=mean,
                std=std,
                activation=activation,
                dropout=dropout,
                normalisation=normalisation,
            )
        case "convnet":
            return convnet(
                channels_in,
                num_outputs,
                image_size=(height, width),
                channels=CHANNELS if model.channels is None else model.channels,
                hidden=hidden or (),
                mean=mean,
                std=std,
                activation=activation,
                dropout=dropout,
                normalisation=normalisation,
            )
    raise _unknown(model.name, "pictures", IMAGE_MODELS)


def build_table_model(
    model: ModelSettings,
    *,
    dropout: Sequence[float],
    num_outputs: int,
    num_features: int,
    category_sizes: Sequence[int] = (),
) -> nn.Module:
    """Numbers (B, num_features) and categories (B, len(category_sizes)) or None -> (B, num_outputs).

    Raises UsageError for an architecture that is not one for tables, or settings that do not fit it.
    """
    match model.name:
        case "logistic" | "linear":
            return linear(num_features, num_outputs, category_sizes=category_sizes)
        case "dense":
            return dense(
                num_features,
                num_outputs,
                hidden=HIDDEN if model.hidden is None else model.hidden,
                activation=model.activation or ACTIVATION,
                dropout=dropout,
                normalisation=model.normalisation or "none",
                category_sizes=category_sizes,
            )
    raise _unknown(model.name, "tables", TABLE_MODELS)


def _unknown(name: str | None, kind: str, known: Sequence[str]) -> UsageError:
    return UsageError(f"there is no model named {name!r} for {kind}.", fix=f"use model={' or model='.join(known)}.")
