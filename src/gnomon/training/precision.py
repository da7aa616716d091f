"""Precision: training with products in bfloat16, and everything that adds up in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def in_precision(name: str, device: torch.device, run: Callable[[], Any]) -> Any:
    """What `run` gives, every Tensor in it as float32.

    "bfloat16": inside, torch's autocast takes the inputs of products and convolutions as bfloat16 (8 bits of exponent,
    8 of the number: the range of float32, so that no loss needs scaling), and their gradients too. "float32": as is.
    """
    if name == "float32":
        return run()
    with torch.autocast(device.type, dtype=torch.bfloat16):
        found = run()
    return _as_float32(found)


def _as_float32(found: Any) -> Any:
    """Through tuples (named ones too), lists and mappings; what is no floating-point Tensor stays as it is."""
    if isinstance(found, Tensor):
        return found.float() if found.is_floating_point() else found
    if isinstance(found, Mapping):
        return type(found)((name, _as_float32(one)) for name, one in found.items())  # type: ignore[call-arg]
    if isinstance(found, tuple) and hasattr(found, "_fields"):
        return type(found)(*map(_as_float32, found))
    if isinstance(found, tuple | list):
        return type(found)(map(_as_float32, found))
    return found
