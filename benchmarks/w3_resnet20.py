"""W3: ResNet-20 (He et al. 2016, shortcuts without parameters) on 32x32x3, batch 128."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.nets import built
from benchmarks.workload import LEARNING_RATE, Workload

if TYPE_CHECKING:
    import torch


def build_torch() -> torch.nn.Module:
    return built("resnet20", 32)


def build_keras(keras: Any, shape: tuple[int, ...]) -> Any:
    layers, ops = keras.layers, keras.ops

    def block(x: Any, filters: int, stride: int) -> Any:
        y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
        if stride > 1:
            new = filters - x.shape[-1]
            x = ops.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (new // 2, new - new // 2)))
        return layers.ReLU()(layers.Add()([x, y]))

    inputs = keras.Input(shape)
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for filters in (16, 32, 64):
        for number in range(3):
            x = block(x, filters, 2 if filters > 16 and number == 0 else 1)
    model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss)
    return model


WORKLOAD = Workload(
    name="W3",
    title="ResNet-20 on 32x32x3, batch 128",
    rows=2_560,
    multiply_adds=40_551_040,
    first_layer=32 * 32 * 27 * 16,
    torch_shape=(3, 32, 32),
    keras_shape=(32, 32, 3),
    gnomon={"model": "resnet20"},
    build_torch=build_torch,
    build_keras=build_keras,
    batch=128,
    side=32,
)
