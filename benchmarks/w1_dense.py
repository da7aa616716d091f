"""W1: dense 784-256-128-10 with ReLU, batch 64, 60,000 rows an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.workload import LEARNING_RATE, Workload

if TYPE_CHECKING:
    import torch


def build_torch() -> torch.nn.Module:
    from torch import nn

    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def build_keras(keras: Any, shape: tuple[int, ...]) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Dense(256, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss)
    return model


WORKLOAD = Workload(
    name="W1",
    title="dense 784-256-128-10, batch 64, 60,000 rows",
    rows=60_000,
    multiply_adds=784 * 256 + 256 * 128 + 128 * 10,
    first_layer=784 * 256,
    torch_shape=(784,),
    keras_shape=(784,),
    gnomon={"model": "dense", "hidden": (256, 128), "activation": "relu", "normalisation": "none", "dropout": ()},
    build_torch=build_torch,
    build_keras=build_keras,
    hidden_of_scikit_learn=(256, 128),
)
