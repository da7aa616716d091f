"""How a first model is trained, by the number of training examples: measured, see docs/log.md."""

from __future__ import annotations

import math
from typing import Any

from gnomon.core.family import PairInputs, PictureInputs

TABLE_STEPS = 2_000  # optimizer steps that a small table is trained for, at least
TABLE_EPOCHS = 40  # for tables of up to LONG_TABLE rows; longer ones need fewer
LONG_TABLE = 20_000
MOST_EPOCHS = 200  # for tables of a few hundred rows
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of most public weights for pictures
HALF = (0.5,) * 3  # mean and std of weights that were trained in, or are copied from, TensorFlow
COLOUR = 3  # channels
WHOLE_BATCHES = 2_000  # rows below which a linear model takes all of them in each step


FROZEN_PICTURES = 20_000  # that a last layer alone is trained on, a picture once per epoch
TRANSFER_PICTURES = 5_000  # the same for stages that start from weights from elsewhere
TEXT_PIECES = 20_000_000  # characters or words that a net reads in its training, each time it meets them
WHOLE_TEXTS = 50_000  # texts that a net classifies or tags in its training, each time it meets them
PAIRS = 600_000  # pairs of texts that a net learns to translate from, each time it meets them
SHORT_PAIRS = 60_000  # the same of a recurrent net and short targets of few kinds of pieces: dates, numbers, sounds
MOST_SHORT = 40  # ids of the longest of these
FEW_IDS = 200  # of characters; there are more words and parts of words
RATE_WITHOUT_NORM = 5e-4  # learning rate of deep convnets without normalisation


def picture_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` pictures."""
    return {
        "init.name": "he",
        "regularise.weight_decay": 0.05,
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 4e-3,
        "optimiser.batch_size": 64 if num_train >= 1_000 else 32,
        "schedule.name": "cosine",
        # 60 passes over a thousand pictures, 31 over five thousand, 12 from fifty thousand on
        "stop.epochs": round(min(60.0, max(12.0, 60 * (1_000 / max(num_train, 1)) ** 0.41))),
    }


def signal_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a residual net on `num_train` signals."""
    return {**picture_recipe(num_train), "optimiser.learning_rate": 1e-3}  # as Wang, Yan & Oates 2017


def volume_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a residual net on `num_train` volumes: a third of the passes fits them in training."""
    recipe = signal_recipe(num_train)
    return {**recipe, "stop.epochs": max(6, recipe["stop.epochs"] // 3)}


def segmentation_recipe(inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    """Settings (full keys) for `num_train` pictures of which every pixel has a class."""
    return {
        "init.name": "he",
        "regularise.weight_decay": 0.05,
        "regularise.augment": "crop,mirror,colour:0.2" if inputs.channels == COLOUR else "crop,shift",
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 2e-3,
        "optimiser.batch_size": 8,
        "schedule.name": "cosine",
        "stop.epochs": round(min(60.0, max(12.0, 12_000 / max(num_train, 1)))),
    }


def text_recipe(num_train: int, length: int) -> dict[str, Any]:
    """Settings (full keys) for a net that reads `num_train` texts of up to `length` pieces from left to right."""
    pieces = max(num_train * length, 1)
    return {
        "init.name": "xavier",
        "optimiser.name": "adamw",
        "optimiser.batch_size": 32,
        "schedule.name": "cosine",
        "stop.epochs": round(min(60.0, max(4.0, TEXT_PIECES / pieces))),
    }


def series_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a recurrent net on `num_train` series."""
    return {
        "init.name": "xavier",
        "optimiser.name": "adamw",
        "optimiser.batch_size": 32 if num_train >= 1_000 else 16,
        "schedule.name": "cosine",
        # 60 passes over up to a hundred and thirty series, 27 over three hundred, 12 from seven hundred on
        "stop.epochs": round(min(60.0, max(12.0, 8_000 / max(num_train, 1)))),
    }


def whole_text_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a net that reads `num_train` whole texts, to classify or tag them."""
    return {
        "init.name": "xavier",
        "optimiser.name": "adamw",
        "optimiser.batch_size": 64 if num_train >= 2_000 else 16,
        "schedule.name": "cosine",
        # 50 passes over a thousand texts or fewer, 7 over seven thousand: what a net learns by heart is soon too much
        "stop.epochs": round(min(50.0, max(4.0, WHOLE_TEXTS / max(num_train, 1)))),
    }


def pairs_recipe(inputs: PairInputs, num_train: int, pairs: int = PAIRS) -> dict[str, Any]:
    """Settings (full keys) for a net from one text to another, and `num_train` pairs; it meets `pairs` of them."""
    return {
        "init.name": "xavier",
        "regularise.label_smoothing": 0.0 if is_small(inputs) else 0.1,  # Vaswani et al. 2017, section 5.4
        "optimiser.name": "adamw",
        "optimiser.batch_size": 64,
        "schedule.name": "cosine",
        "schedule.warmup": 0.1,
        # 60 passes over ten thousand pairs or fewer, 20 over thirty thousand
        "stop.epochs": round(min(60.0, max(4.0, pairs / max(num_train, 1)))),
    }


def are_short(inputs: PairInputs) -> bool:
    """Whether what is written is short, and of few kinds of pieces."""
    return is_small(inputs) and inputs.target_length <= MOST_SHORT


def is_small(inputs: PairInputs) -> bool:
    """Whether what is written has so few kinds of pieces that a small net tells them apart: characters, sounds."""
    return inputs.num_target_ids <= FEW_IDS


def augment(inputs: PictureInputs) -> str:
    """How pictures are augmented: grey ones are often characters, which must not be mirrored."""
    return "shift,mirror" if inputs.channels == 3 else "shift"


def table_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a dense net on a table of `num_train` rows, of classes or numbers."""
    batch_size = min(1_024, max(32, 2 ** round(math.log2(max(num_train, 1)) / 2)))  # about sqrt(num_train)
    few = TABLE_EPOCHS * min(1.0, LONG_TABLE / max(num_train, 1)) ** 0.5  # 40, at 200,000 rows 13, at 2 million 4
    return {
        "init.name": "he",
        # what a small table needs keeps a net from learning a large one
        "regularise.weight_decay": round(min(0.3, max(0.05, 300 / max(num_train, 1))), 3),
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 4e-3,
        "optimiser.batch_size": batch_size,
        "schedule.name": "cosine",
        "stop.epochs": min(MOST_EPOCHS, max(math.ceil(few), math.ceil(TABLE_STEPS * batch_size / max(num_train, 1)))),
    }


def linear_table_recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a linear model on a table: they end near the one solution that there is.

    The L2 term is that of scikit-learn's LogisticRegression (C = 1), and of its Ridge with alpha = 1/2.
    """
    whole = {"optimiser.batch_size": 0, "stop.epochs": 400} if num_train < WHOLE_BATCHES else {}
    return {
        **table_recipe(num_train),
        "regularise.weight_decay": 0.0,
        "regularise.l2": 1.0,
        "optimiser.learning_rate": 0.1,
        **whole,
    }


def transfer_recipe(num_train: int, *, is_frozen: bool) -> dict[str, Any]:
    """Settings (full keys) for a model that starts from weights from elsewhere, and `num_train` pictures.

    `is_frozen`: all but the last layer, which is linear: many passes over what it takes cost seconds.
    """
    common = {
        "regularise.augment": "none",
        "optimiser.name": "adamw",
        "schedule.name": "cosine",
    }
    if is_frozen:
        return {
            **common,
            "regularise.weight_decay": 0.1,
            "optimiser.learning_rate": 1e-3,
            "optimiser.batch_size": 64,
            "stop.epochs": round(min(200.0, max(30.0, FROZEN_PICTURES / max(num_train, 1)))),
            "transfer.backbone_rate": 1.0,
        }
    return {
        **common,
        "regularise.weight_decay": 0.05,
        "regularise.label_smoothing": 0.1,
        "optimiser.learning_rate": 3e-3,
        "optimiser.batch_size": 32,
        "stop.epochs": round(min(30.0, max(5.0, TRANSFER_PICTURES / max(num_train, 1)))),
        "transfer.backbone_rate": 0.1,
    }
