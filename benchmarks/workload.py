"""What a workload is: its data, its network for every stack, its arithmetic."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

LEARNING_RATE = 1e-3
DATA = Path(os.environ.get("GNOMON_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Workload:
    """One row of the table. Every stack trains the same network on the same rows and batches with Adam 1e-3."""

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
    batch: int = 64
    side: int = 28  # pixels; 28: gray pictures of Fashion-MNIST, otherwise colour ones of CIFAR-10

    @property
    def flops(self) -> int:
        """Floating-point operations of one example in one step: forward, and backward to weights and to inputs."""
        return 2 * (3 * self.multiply_adds - self.first_layer)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows, H, W) or (rows, H, W, 3) float32 in [0, 1] and (rows,) int64, from the training part of the set."""
        if self.side != 28:
            pictures, labels = cifar(self.rows)
            times = self.side // pictures.shape[1]
            return pictures.repeat(times, axis=1).repeat(times, axis=2).astype(np.float32) / 255, labels
        folder = DATA / "fashion-mnist"
        pictures = read_idx(folder / "train-images-idx3-ubyte.gz")[: self.rows]
        labels = read_idx(folder / "train-labels-idx1-ubyte.gz")[: self.rows]
        return pictures.astype(np.float32) / 255, labels.astype(np.int64)


def cifar(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 32, 32, 3) bytes and (rows,) int64, classes evenly, in a fixed order that mixes them."""
    from PIL import Image

    with zipfile.ZipFile(DATA / "cifar10-half.zip") as archive:
        names = sorted(name for name in archive.namelist() if "train/" in name and name.endswith(".jpg"))
        classes = sorted({name.split("/")[-2] for name in names})
        every = len(names) // rows
        chosen = names[::every][:rows]
        pictures = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in chosen])
    order = np.random.default_rng(0).permutation(rows)
    labels = np.array([classes.index(name.split("/")[-2]) for name in chosen])
    return pictures[order], labels[order]


def read_idx(path: Path) -> np.ndarray:
    """The array of a gzipped IDX file of bytes."""
    content = gzip.decompress(path.read_bytes())
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(content[3])]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
