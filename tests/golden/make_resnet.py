"""How the numbers of [resnet_*] in numbers.toml were made, by torchvision, which is not installed beside gnomon.

pip download --no-deps torchvision && unzip -d elsewhere torchvision-*.whl
PYTHONPATH=elsewhere python tests/golden/make_resnet.py
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
COMPILED = "nms qnms deform_conv2d _deform_conv2d_backward roi_align qroi_align _roi_align_backward roi_pool"
COMPILED += " _roi_pool_backward ps_roi_align _ps_roi_align_backward ps_roi_pool _ps_roi_pool_backward"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, in units of [0, 1]


def noise(count: int, seed: int) -> torch.Tensor:
    """(count,) float64 in [-1, 1), the same on every machine: whole numbers hashed."""
    x = np.arange(count, dtype=np.uint64) + np.uint64(seed) * np.uint64(1 << 20)
    for factor in (2654435761, 2246822519, 3266489917):
        x = (x * np.uint64(factor)) % np.uint64(1 << 32)
        x ^= x >> np.uint64(15)
    return torch.from_numpy(x.astype(np.float64) / 2**31 - 1)


@torch.no_grad()
def fill(state: dict[str, torch.Tensor]) -> None:
    """Weights and statistics for a net in evaluation mode, by their places in the alphabetical list of names."""
    for place, (name, tensor) in enumerate(sorted(state.items())):
        if not tensor.is_floating_point():
            continue
        values = noise(tensor.numel(), place).reshape(tensor.shape)
        if tensor.dim() > 1:
            values *= math.sqrt(6 / tensor[0].numel())
        elif name.endswith("running_var"):
            values = 1 + 0.5 * values
        elif name.endswith("weight"):
            values = 1 + 0.2 * values
        else:
            values *= 0.1
        tensor.copy_(values)


def pictures(side: int) -> torch.Tensor:
    """(2, 3, side, side) in [0, 1]."""
    return (0.5 + 0.5 * noise(2 * 3 * side * side, 1000)).reshape(2, 3, side, side)


def digest(state: dict[str, torch.Tensor]) -> str:
    """SHA-256 of every name with its shape."""
    lines = [f"{name} {tuple(tensor.shape)}" for name, tensor in sorted(state.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def main() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for operator in COMPILED.split():  # of its CUDA wheel, which is not loaded: torchvision only asks for the names
        library.define(f"{operator}(Tensor a) -> Tensor")
    from torchvision import models

    for name in NAMES:
        model = getattr(models, name)()
        print(name, sum(p.numel() for p in model.parameters()), digest(model.state_dict()))
    mean, std = (torch.tensor(each, dtype=torch.float64).view(3, 1, 1) for each in (MEAN, STD))
    for name in ("resnet18", "resnet50"):
        model = getattr(models, name)(num_classes=4).double().eval()
        fill(model.state_dict())
        print(name, model((pictures(64) - mean) / std).tolist())


if __name__ == "__main__":
    main()
