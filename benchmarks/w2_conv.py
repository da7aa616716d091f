"""W2: conv 3x3x32, pool, conv 3x3x64, pool, dense 128, dense 10 on 28x28 (same padding), batch 64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.workload import LEARNING_RATE, Workload

if TYPE_CHECKING:
    import torch


def build_torch() -> torch.nn.Module:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def build_keras(keras: Any, shape: tuple[int, ...]) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss)
    return model


WORKLOAD = Workload(
    name="W2",
    title="conv 3x3x32, pool, conv 3x3x64, pool, dense 128, dense 10 on 28x28, batch 64",
    rows=15_040,  # 235 whole batches: an epoch is long enough to time and short enough to warm up with
    multiply_adds=28 * 28 * 9 * 32 + 14 * 14 * 9 * 32 * 64 + 7 * 7 * 64 * 128 + 128 * 10,
    first_layer=28 * 28 * 9 * 32,
    torch_shape=(1, 28, 28),
    keras_shape=(28, 28, 1),
    gnomon={
        "model": "convnet",
        "channels": (32, 64),
        "hidden": (128,),
        "activation": "relu",
        "normalisation": "none",
        "dropout": (),
    },
    build_torch=build_torch,
    build_keras=build_keras,
)
