"""What a workload is: its data, its network for every stack, its arithmetic."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

BATCH = 64
LEARNING_RATE = 1e-3
DATA = Path(os.environ.get("GNOMON_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Workload:
    """One row of the table. Every stack trains the same network on the same rows with Adam 1e-3 in batches of 64."""

    name: str
    title: str
    rows: int  # examples an epoch
    multiply_adds: int  # of one example, forwards
    first_layer: int  # of them, in the first layer, whose inputs need no gradient
    torch_shape: tuple[int, ...]  # of one example, as the torch stacks take it
    keras_shape: tuple[int, ...]
    gnomon: Mapping[str, Any]  # the network as settings of gnomon.fit
    build_torch: Callable[[], torch.nn.Module]
    build_keras: Callable[[Any, tuple[int, ...]], Any]  # (keras, shape of one example) -> compiled model
    hidden_of_scikit_learn: tuple[int, ...] | None = None  # None: scikit-learn has no such network

    @property
    def flops(self) -> int:
        """Floating-point operations of one example in one step: forward, and backward to weights and to inputs."""
        return 2 * (3 * self.multiply_adds - self.first_layer)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows, 28, 28) float32 in [0, 1] and (rows,) int64, from Fashion-MNIST's training half."""
        folder = DATA / "fashion-mnist"
        pictures = read_idx(folder / "train-images-idx3-ubyte.gz")[: self.rows]
        labels = read_idx(folder / "train-labels-idx1-ubyte.gz")[: self.rows]
        return pictures.astype(np.float32) / 255, labels.astype(np.int64)


def read_idx(path: Path) -> np.ndarray:
    """The array of a gzipped IDX file of bytes."""
    content = gzip.decompress(path.read_bytes())
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(content[3])]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
