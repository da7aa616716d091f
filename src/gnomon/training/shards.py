"""Weights of TensorFlow.js: a manifest that says what lies where in files of bytes beside it, often quantised."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnomon.core.errors import ArtefactError

AGAIN = "download it again, with all files beside it."
STORED = {  # how numbers lie in the file, little-endian, by the name of their type
    "float32": "<f4", "float16": "<f2", "int32": "<i4", "uint16": "<u2", "uint8": "<u1", "bool": "<u1",
}  # fmt: skip
MOST_BYTES = 16 << 30  # of all files together


@dataclass(frozen=True)
class Shards:
    """The tensors of a manifest, by name, in torch's order of axes; the SHA-256 of the manifest and its files."""

    tensors: Mapping[str, Tensor]
    sha256: str


def read_shards(manifest: Path, content: bytes) -> Shards:
    """What the manifest (a file's `content`) lists, from the files that it names, which lie in the same folder.

    Quantised numbers become scale * stored + min. Filters (H, W, in, out) become (out, in, H, W), one filter a channel
    (H, W, C, 1) becomes (C, 1, H, W), matrices (in, out) become (out, in). Raises ArtefactError where a file is
    missing, where the sizes that are listed do not add up to a file's size, and for what is no manifest.
    """
    where = str(manifest)
    digest, tensors = hashlib.sha256(content), dict[str, Tensor]()
    try:
        groups = [(list(group["paths"]), list(group["weights"])) for group in json.loads(content)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ArtefactError(
            "is no manifest of weights: a list of groups with paths and weights.", where=where, fix=AGAIN
        ) from None
    for paths, entries in groups:
        data = b"".join(_shard(manifest, name) for name in paths)
        digest.update(data)
        place = 0
        for entry in entries:
            name, shape, stored, change = _entry(entry, where)
            size = math.prod(shape) * stored.itemsize
            if place + size > len(data):
                raise ArtefactError(f"{name} ends after the last of {len(data):,} bytes.", where=where, fix=AGAIN)
            values = np.frombuffer(data, stored, math.prod(shape), place).reshape(shape)
            tensors[name] = _as_in_torch(name, change(values))
            place += size
        if place != len(data):
            raise ArtefactError(
                f"lists {place:,} bytes, and its files have {len(data):,}.", where=where, fix=AGAIN
            )  # fmt: skip
    return Shards(tensors, digest.hexdigest())


def _shard(manifest: Path, name: Any) -> bytes:
    if not isinstance(name, str) or Path(name).name != name:
        raise ArtefactError(f"names {name!r}, which is no file beside it.", where=str(manifest), fix=AGAIN)
    path = manifest.with_name(name)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ArtefactError(f"has more than {MOST_BYTES:,} bytes.", where=str(path), fix=AGAIN)
        return path.read_bytes()
    except OSError as error:
        raise ArtefactError(
            f"cannot be read ({error.strerror}); {manifest.name} needs it.", where=str(path), fix=AGAIN
        ) from None


def _entry(entry: Any, where: str) -> tuple[str, tuple[int, ...], np.dtype[Any], Any]:
    """Name, shape, type in the file, and the function from stored numbers to float32."""
    try:
        name, shape = str(entry["name"]), tuple(int(side) for side in entry["shape"])
        quantised = entry.get("quantization") or {}
        stored = np.dtype(STORED[quantised.get("dtype", entry["dtype"])])
        scale, low = float(quantised.get("scale", 1.0)), float(quantised.get("min", 0.0))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ArtefactError(
            f"has an entry that cannot be read: {str(entry)[:80]}.", where=where,
            fix=f"weights are of the types {', '.join(STORED)}, with scale and min where they are quantised.",
        ) from None  # fmt: skip
    if any(side < 0 for side in shape) or not (math.isfinite(scale) and math.isfinite(low)):
        raise ArtefactError(f"{name} has the shape {shape}, scale {scale}, min {low}.", where=where, fix=AGAIN)

    def change(values: np.ndarray) -> np.ndarray:
        return (values.astype(np.float64) * scale + low).astype(np.float32)

    return name, shape, stored, change


def _as_in_torch(name: str, values: np.ndarray) -> Tensor:
    if values.ndim == 4:
        values = values.transpose(2, 3, 0, 1) if "depthwise" in name else values.transpose(3, 2, 0, 1)
    elif values.ndim == 2:
        values = values.T
    return torch.from_numpy(np.ascontiguousarray(values))
