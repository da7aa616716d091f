"""W4: MobileNetV2 of half width (Sandler et al. 2018) on 64x64x3, batch 64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.nets import built
from benchmarks.workload import LEARNING_RATE, Workload

if TYPE_CHECKING:
    import torch

WIDTH = 0.5


def build_torch() -> torch.nn.Module:
    return built("mobilenet-v2", 64, width=WIDTH)


def build_keras(keras: Any, shape: tuple[int, ...]) -> Any:
    model = keras.applications.MobileNetV2(
        shape, alpha=WIDTH, weights=None, classes=10, classifier_activation=None, include_top=True
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss)
    return model


WORKLOAD = Workload(
    name="W4",
    title="MobileNetV2 of half width on 64x64x3, batch 64",
    rows=3_200,
    multiply_adds=7_837_440,
    first_layer=32 * 32 * 27 * 16,
    torch_shape=(3, 64, 64),
    keras_shape=(64, 64, 3),
    gnomon={"model": "mobilenet-v2", "model.width": WIDTH, "dropout": ()},
    build_torch=build_torch,
    build_keras=build_keras,
    side=64,
)
