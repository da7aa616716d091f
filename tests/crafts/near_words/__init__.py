"""Word vectors from which words stand near each other in a text. Source: Pennington et al. 2014 (GloVe), equation 8."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from gnomon.core.craft import Craft, Material, Measure
from gnomon.core.errors import DataError
from gnomon.core.parts import Claim, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, OwnSettings, Settings, setting
from gnomon.data.source import Source

FILE = "text.txt"
ENOUGH = 10.0  # times a pair is seen from which it counts in full; x_max of the paper, for small texts


@final
class WordSettings(OwnSettings):
    """Of word vectors."""

    dims: int = setting(8, "numbers in a vector", ge=1, le=300)
    window: int = setting(2, "words on each side that count as near", ge=1, le=20)


@dataclass(frozen=True)
class Words:
    """The text as places in its vocabulary."""

    vocabulary: tuple[str, ...]
    places: tuple[int, ...]


class Vectors(nn.Module):
    """A vector and a bias of each word, once as the middle and once as the neighbour."""

    def __init__(self, num_words: int, dims: int) -> None:
        super().__init__()
        self.middle, self.near = nn.Embedding(num_words, dims), nn.Embedding(num_words, dims)
        self.bias, self.near_bias = nn.Parameter(torch.zeros(num_words)), nn.Parameter(torch.zeros(num_words))

    def forward(self) -> Tensor:
        """(V, V): the logarithm of how often each pair is expected."""
        return self.middle.weight @ self.near.weight.T + self.bias[:, None] + self.near_bias


@final
class WordVectors(Craft):
    """A vector for each word, such that words in the same company are close."""

    name = "near_words"
    title = "words by their neighbours"
    measures = (Measure("squared error", "", "less"), Measure("length of a vector"))
    settings = WordSettings

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        names = [file.name for file in source.tree.files] if source.tree else []
        return Claim(1.0, f"{FILE}, a text and nothing else") if names == [FILE] else None

    def read(self, source: Source, settings: DataSettings) -> Material:
        text = source.tree.read(FILE) if source.tree else b""
        words = re.findall(r"\w+", text.decode(errors="replace").lower())
        if len(set(words)) < 2:
            raise DataError("holds fewer than two different words.", where=FILE, fix="give a longer text.")
        place = {word: i for i, (word, _) in enumerate(Counter(words).most_common())}
        found = Words(tuple(place), tuple(place[word] for word in words))
        return Material(found, f"a text of {len(words):,} words", hashlib.sha256(text).hexdigest())

    def write_sample(self, folder: Path, seed: int) -> Path:
        rng, lines = generator(seed, "sample"), []
        for _ in range(150):
            who, does, what = (("cat", "dog", "cow"), ("eats", "finds", "wants"), ("fish", "bread", "grass"))
            lines.append(" ".join(str(rng.choice(one)) for one in (who, does, what)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(".\n".join(lines))
        return folder

    def defaults(self, material: Material, settings: Settings) -> Mapping[str, Any]:
        return {"optimiser.learning_rate": 0.05, "stop.epochs": 4}

    def begin(self, material: Material, settings: Settings) -> nn.Module:
        return Vectors(len(material.content.vocabulary), settings.task.own["dims"])

    def steps_per_epoch(self, material: Material, settings: Settings) -> int:
        return 10

    def loss(
        self, model: nn.Module, player: str, material: Material, settings: Settings, chance: torch.Generator
    ) -> Tensor:
        seen = counts(material.content, settings.task.own["window"])
        weight = (seen / ENOUGH).pow(0.75).clamp(max=1)  # 0 where a pair was never seen
        return (weight * (model() - seen.clamp_min(1).log()).square()).sum() / weight.sum()

    def measure(self, model: nn.Module, material: Material, settings: Settings) -> Mapping[str, float]:
        loss = self.loss(model, "loss", material, settings, torch.Generator())
        return {"squared error": float(loss), "length of a vector": float(model.middle.weight.norm(dim=1).mean())}

    def outputs(self, model: nn.Module, material: Material) -> Mapping[str, bytes]:
        rows = zip(material.content.vocabulary, model.middle.weight.tolist(), strict=True)
        lines = ["\t".join([word, *(f"{value:.6f}" for value in vector)]) for word, vector in rows]
        return {"vectors.tsv": "\n".join(lines).encode()}

    def show(self, model: nn.Module, material: Material) -> Sequence[tuple[str, View]]:
        unit = nn.functional.normalize(model.middle.weight, dim=1)
        near, names = (unit @ unit.T).argsort(dim=1, descending=True), material.content.vocabulary
        found = [(names[i], ", ".join(names[j] for j in near[i].tolist() if j != i)) for i in range(min(6, len(names)))]
        return [(f"nearest to {word}", View(text=others)) for word, others in found]


def counts(words: Words, window: int) -> Tensor:
    """(V, V): how often each word stands within `window` words of each other one."""
    seen, places = torch.zeros(len(words.vocabulary), len(words.vocabulary)), torch.tensor(words.places)
    for far in range(1, window + 1):
        seen.index_put_((places[:-far], places[far:]), torch.ones(()), accumulate=True)
    return seen + seen.T


CRAFT = WordVectors()
