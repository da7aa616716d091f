"""convert: weights or annotated pictures in another format; which of the two, what is given decides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon.core.errors import UsageError

SHARDS = "weights_manifest.json"  # of TensorFlow.js

if TYPE_CHECKING:
    from gnomon.workflow.convert_data import ConvertedData
    from gnomon.workflow.convert_weights import Converted

WEIGHTS = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", SHARDS)
FIX = "gnomon convert IN.pth OUT.safetensors for weights, gnomon convert DATA out/ to=coco for annotated pictures."


def convert(
    source: Any, out: str | Path, to: str | None = None, max_bad: float | str | None = None
) -> Converted | ConvertedData:  # fmt: skip
    """Write a file of weights as safetensors; or annotated pictures, with `to`, as "coco", "voc", "yolo" or "masks".

    `max_bad` is the share of pictures or objects that may be left out because they cannot be used. Nothing is
    overwritten. Raises UsageError where what is given fits neither, and what reading and writing raise.
    """
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    is_weights = name.lower().endswith(WEIGHTS) and not Path(name).is_dir()
    if is_weights and (to is not None or max_bad is not None):
        raise UsageError(f"{name} is a file of weights, for which to and max_bad mean nothing.", fix=FIX)
    if is_weights or (to is None and Path(out).suffix.lower() in WEIGHTS and Path(name).is_file()):
        from gnomon.workflow.convert_weights import convert_weights

        return convert_weights(name, out)
    if to is None:
        raise UsageError(f"which format {name or 'it'} becomes is not given.", fix=FIX)
    from gnomon.workflow.convert_data import convert_data

    return convert_data(source, out, to, max_bad=_share(max_bad))


def _share(given: float | str | None) -> float | None:
    if given is None:
        return None
    try:
        share = float(given)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"max_bad is a share from 0 to 1, got {given}.", fix="max_bad=0.1, for example.")
    return share
