"""How names_elsewhere.txt and the numbers of [backbone_*] in numbers.toml were made, by torchvision and timm.

Neither is installed beside gnomon.

pip download --no-deps torchvision timm && for each in *.whl; do unzip -d elsewhere $each; done
pip download --no-deps efficientnet-lite-pytorch && unzip -d elsewhere efficientnet_lite_pytorch-*.whl
PYTHONPATH=elsewhere python tests/golden/make_backbones.py
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch
from make_resnet import COMPILED, MEAN, STD, fill, pictures

NAMES = Path(__file__).parent / "names_elsewhere.txt"
VGG = ("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn")
PARAMETERS = {  # ours -> library, name there, and how it is made
    **{f"efficientnet-b{size}": ("torchvision", f"efficientnet_b{size}", {}) for size in range(8)},
    **{f"efficientnet-lite{size}": ("timm", f"tf_efficientnet_lite{size}", {}) for size in range(5)},
    "mobilenet-v1": ("timm", "mobilenetv1_100", {}),
    "mobilenet-v1 1.25": ("timm", "mobilenetv1_125", {}),
    "mobilenet-v2": ("torchvision", "mobilenet_v2", {}),
    "mobilenet-v2 0.5": ("torchvision", "mobilenet_v2", {"width_mult": 0.5}),
    "mobilenet-v2 1.4": ("timm", "mobilenetv2_140", {}),
    **{name.replace("_", "-"): ("torchvision", name, {}) for name in VGG},
    "alexnet": ("torchvision", "alexnet", {}),
    "googlenet": ("torchvision", "googlenet", {"init_weights": False, "aux_logits": True}),
}
NAMED = {  # whose names are kept: heading of names_elsewhere.txt -> how it is made
    "torchvision efficientnet_b1": {},
    "timm efficientnet_b1": {},
    "timm tf_efficientnet_lite0": {},
    "efficientnet_lite_pytorch efficientnet-lite0": {},
    "timm mobilenetv1_100": {},
    "torchvision mobilenet_v2": {},
    "timm mobilenetv2_100": {},
    **{f"torchvision {name}": {} for name in (*VGG, "alexnet")},
    "torchvision googlenet": {"init_weights": False, "aux_logits": True},
}
ANSWERS = (  # whose answers are kept
    "torchvision efficientnet_b1", "timm tf_efficientnet_lite0", "timm mobilenetv1_100", "torchvision mobilenet_v2",
    "torchvision vgg11", "torchvision vgg16_bn", "torchvision alexnet", "torchvision googlenet",
)  # fmt: skip
SIDES = (64, 75)  # pixels of the pictures that are answered
NARROW = 8  # units of the dense layers of those that have any: theirs have 100 million weights


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


def narrow(layers: list[torch.nn.Linear], num_classes: int) -> list[torch.nn.Linear]:
    """Dense layers in a row, with fewer units."""
    widths = (layers[0].in_features, *[NARROW] * (len(layers) - 1), num_classes)
    return [torch.nn.Linear(*pair) for pair in itertools.pairwise(widths)]


def _made(library: str, name: str, **more: object) -> torch.nn.Module:
    if library == "torchvision":
        from torchvision import models

        return getattr(models, name)(**more)
    if library == "timm":
        import timm

        return timm.create_model(name, **more)
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name(name)


def _to_answer(library: str, name: str, **more: object) -> torch.nn.Module:
    """With four classes."""
    if not name.startswith(("vgg", "alexnet")):
        return _made(library, name, num_classes=4, **more)
    model = _made(library, name, **more)
    places = [i for i, layer in enumerate(model.classifier) if isinstance(layer, torch.nn.Linear)]
    for i, layer in zip(places, narrow([model.classifier[i] for i in places], 4), strict=True):
        model.classifier[i] = layer
    return model


def main() -> None:
    operators = torch.library.Library("torchvision", "DEF")
    for operator in COMPILED.split():  # of its CUDA wheel, which is not loaded: torchvision only asks for the names
        operators.define(f"{operator}(Tensor a) -> Tensor")
    text = []
    with torch.device("meta"):
        for heading, more in NAMED.items():
            text += [f"# {heading}", *as_text(_made(*heading.split(), **more).state_dict())]
    NAMES.write_text("\n".join(text) + "\n")
    print("[backbone_parameters.value]")
    for ours, (library, name, more) in PARAMETERS.items():
        with torch.device("meta"):
            print(f'"{ours}" = {sum(p.numel() for p in _made(library, name, **more).parameters()):_}')
    print("[backbone_answers.value]")
    mean, std = (torch.tensor(each, dtype=torch.float64).view(3, 1, 1) for each in (MEAN, STD))
    for heading in ANSWERS:
        model = _to_answer(*heading.split(), **NAMED[heading]).double().eval()
        fill(model.state_dict())
        print(f'"{heading}" = {[model((pictures(side) - mean) / std).tolist() for side in SIDES]}')


if __name__ == "__main__":
    main()
