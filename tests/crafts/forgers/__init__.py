"""Numbers like those in a file: a generator and a critic learn from each other. Source: Goodfellow et al. 2014."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.craft import Craft, Material, Measure
from gnomon.core.errors import DataError
from gnomon.core.parts import Claim, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.data.source import Source

FILE = "numbers.txt"  # one a line
HIDDEN = 16


@final
class Forgers(Craft):
    """A generator of numbers, and the critic it has to deceive."""

    name = "forgers"
    title = "numbers made up"
    measures = (Measure("distance of the quantiles", "", "less"), Measure("taken for true", "share"))
    acts = frozenset({"optimiser.batch_size"})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        names = [file.name for file in source.tree.files] if source.tree else []
        return Claim(1.0, f"{FILE}, numbers and nothing else") if names == [FILE] else None

    def read(self, source: Source, settings: DataSettings) -> Material:
        text = source.tree.read(FILE) if source.tree else b""
        try:
            numbers = torch.tensor([float(line) for line in text.split()])
        except ValueError as error:
            raise DataError(f"holds something else than numbers: {error}.", where=FILE, fix="mend that line.") from None
        return Material(numbers, f"{len(numbers):,} numbers", hashlib.sha256(text).hexdigest())

    def write_sample(self, folder: Path, seed: int) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        numbers = generator(seed, "sample").normal(3.0, 0.5, 200)
        (folder / FILE).write_text("\n".join(f"{number:.4f}" for number in numbers))
        return folder

    def defaults(self, material: Material, settings: Settings) -> Mapping[str, Any]:
        return {"optimiser.learning_rate": 5e-3, "optimiser.batch_size": 32, "stop.epochs": 4}

    def begin(self, material: Material, settings: Settings) -> nn.Module:
        parts = {
            name: nn.Sequential(nn.Linear(1, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
            for name in ("critic", "generator")
        }
        return nn.ModuleDict(parts)

    def steps_per_epoch(self, material: Material, settings: Settings) -> int:
        return max(1, len(material.content) // (settings.optimiser.batch_size or len(material.content)))

    def players(self, model: nn.Module) -> Mapping[str, nn.Module]:
        return {"critic": model["critic"], "generator": model["generator"]}

    def loss(
        self, model: nn.Module, player: str, material: Material, settings: Settings, chance: torch.Generator
    ) -> Tensor:
        size = settings.optimiser.batch_size or len(material.content)
        made = model["critic"](model["generator"](torch.randn(size, 1, generator=chance)))
        if player == "generator":
            return functional.softplus(-made).mean()
        real = material.content[torch.randint(len(material.content), (size,), generator=chance)]
        return functional.softplus(made).mean() + functional.softplus(-model["critic"](real[:, None])).mean()

    def measure(self, model: nn.Module, material: Material, settings: Settings) -> Mapping[str, float]:
        made = forged(model, len(material.content))
        distance = (made.sort().values - material.content.sort().values).abs().mean()
        return {
            "distance of the quantiles": float(distance),
            "taken for true": float((model["critic"](made[:, None]) > 0).float().mean()),
        }

    def outputs(self, model: nn.Module, material: Material) -> Mapping[str, bytes]:
        return {"made.txt": "\n".join(f"{number:.6f}" for number in forged(model, 50).tolist()).encode()}

    def show(self, model: nn.Module, material: Material) -> Sequence[tuple[str, View]]:
        found = []
        for name, numbers in (("given", material.content), ("made", forged(model, len(material.content)))):
            heights = np.histogram(numbers.numpy(), bins=16, range=(0, 6))[0]
            bars = np.arange(16)[:, None] >= 16 - 16 * heights / max(heights.max(), 1)
            found.append((f"how often each value is {name}", View(image=np.where(bars, 40, 235).astype(np.uint8))))
        return found


def forged(model: nn.Module, count: int) -> Tensor:
    """(count,) numbers, the same each time."""
    numbers: Tensor = model["generator"](torch.randn(count, 1, generator=torch.Generator().manual_seed(1)))[:, 0]
    return numbers.detach()


CRAFT = Forgers()
