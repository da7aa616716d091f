"""How names_elsewhere.txt and the numbers of [backbone_*] in numbers.toml were made, by torchvision and timm.

Neither is installed beside gnomon.

pip download --no-deps torchvision timm && for each in *.whl; do unzip -d elsewhere $each; done
pip download --no-deps efficientnet-lite-pytorch && unzip -d elsewhere efficientnet_lite_pytorch-*.whl
PYTHONPATH=elsewhere python tests/golden/make_backbones.py
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch
from make_resnet import COMPILED, MEAN, STD, fill, pictures

NAMES = Path(__file__).parent / "names_elsewhere.txt"
TORCHVISION = {  # ours -> torchvision's
    **{f"efficientnet-b{size}": f"efficientnet_b{size}" for size in range(8)},
}
TIMM = {
    **{f"efficientnet-lite{size}": f"tf_efficientnet_lite{size}" for size in range(5)},
}
NAMED = {  # whose names are kept: heading of names_elsewhere.txt -> how it is made
    "torchvision efficientnet_b1": lambda: _torchvision("efficientnet_b1"),
    "timm efficientnet_b1": lambda: _timm("efficientnet_b1"),
    "timm tf_efficientnet_lite0": lambda: _timm("tf_efficientnet_lite0"),
    "efficientnet_lite_pytorch efficientnet-lite0": lambda: _package("efficientnet-lite0"),
}
ANSWERS = {  # whose answers are kept: a heading above, and the sides of the square pictures
    "torchvision efficientnet_b1": (64, 75),
    "timm tf_efficientnet_lite0": (64, 75),
}


def sections() -> dict[str, dict[str, tuple[int, ...]]]:
    """What names_elsewhere.txt holds: heading -> names of tensors with their shapes."""
    result: dict[str, dict[str, tuple[int, ...]]] = {}
    for line in NAMES.read_text().splitlines():
        if line.startswith("# "):
            current = result.setdefault(line[2:], {})
        elif line:
            layer, *tensors = line.split()
            for tensor in tensors:
                name, shape = re.fullmatch(r"(\w+)\[([\d,]*)\]", tensor).groups()
                current[f"{layer}.{name}"] = tuple(map(int, shape.split(","))) if shape else ()
    return result


def as_text(state: dict[str, torch.Tensor]) -> Iterator[str]:
    """One line per layer: its name, then each of its tensors with its shape."""
    layers = defaultdict(list)
    for name, tensor in state.items():
        layer, _, last = name.rpartition(".")
        layers[layer].append(f"{last}[{','.join(map(str, tensor.shape))}]")
    return (" ".join([layer, *tensors]) for layer, tensors in layers.items())


def _torchvision(name: str, **more: object) -> torch.nn.Module:
    from torchvision import models

    return getattr(models, name)(**more)


def _timm(name: str, **more: object) -> torch.nn.Module:
    import timm

    return timm.create_model(name, **more)


def _package(name: str) -> torch.nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name(name)


def main() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for operator in COMPILED.split():  # of its CUDA wheel, which is not loaded: torchvision only asks for the names
        library.define(f"{operator}(Tensor a) -> Tensor")
    with torch.device("meta"):
        text = [line for heading, make in NAMED.items() for line in (f"# {heading}", *as_text(make().state_dict()))]
    NAMES.write_text("\n".join(text) + "\n")
    print("[backbone_parameters]")
    for names, make in ((TORCHVISION, _torchvision), (TIMM, _timm)):
        for ours, theirs in names.items():
            with torch.device("meta"):
                print(f"{ours} = {sum(p.numel() for p in make(theirs).parameters()):_}")
    print("[backbone_answers]")
    mean, std = (torch.tensor(each, dtype=torch.float64).view(3, 1, 1) for each in (MEAN, STD))
    for heading, sides in ANSWERS.items():
        library_name, name = heading.split()
        make = {"torchvision": _torchvision, "timm": _timm}[library_name]
        model = make(name, num_classes=4).double().eval()
        fill(model.state_dict())
        answers = [model((pictures(side) - mean) / std).tolist() for side in sides]
        print(f'"{heading}" = {answers}')


if __name__ == "__main__":
    main()
