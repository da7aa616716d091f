"""Identities to pairs: learn to tell some people apart, be judged on whether two pictures of others show one person."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import polars as pl
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Example, Examples, Reading, index_frame
from gnomon.core.family import PictureInputs
from gnomon.core.knobs import PICTURES
from gnomon.core.parts import Batch, Body, Claim, Encoder, Head, Judge, Predictions, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.core.task import TaskKind
from gnomon.data.columns import Columns, gather
from gnomon.data.source import Source
from gnomon.metrics.classification import scores

MARKER = "identities.txt"  # a file of this name says: the folders beside it are people
SIDE = 24  # pixels that pictures are brought to
USUAL = 1.0  # a threshold before dev was seen
SHARPNESS = 8.0  # how fast belief grows with the distance from the threshold
SAME, DIFFERENT = "same", "different"


@final
@dataclass(frozen=True)
class People(Examples):
    """Pictures with the name of who is on them."""

    pictures: np.ndarray  # (M, SIDE, SIDE) uint8, of all people read
    names: tuple[str, ...]  # of the M pictures
    files: tuple[str, ...]
    positions: np.ndarray  # (N,)

    @property
    def index(self) -> pl.DataFrame:
        people = [self.names[i] for i in self.positions]
        return index_frame([self.files[i] for i in self.positions], group=people)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, position: int) -> Example:
        at = self.positions[position]
        return Example(self.files[at], self.pictures[at], self.names[at])

    def take(self, positions: np.ndarray) -> Self:
        return replace(self, positions=self.positions[positions])

    def join(self, other: Self) -> Self:
        return type(self)(
            np.concatenate([self.pictures, other.pictures]),
            self.names + other.names,
            self.files + other.files,
            np.concatenate([self.positions, other.positions + len(self.pictures)]),
        )

    def fingerprints(self) -> np.ndarray:
        digests = [hashlib.sha256(self.pictures[i].tobytes()).digest()[:8] for i in self.positions]
        return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


@final
@dataclass(frozen=True)
class Pairs(Examples):
    """Two pictures each; the target is whether they show one person."""

    people: People
    left: np.ndarray  # (N,) positions in `people`
    right: np.ndarray

    @property
    def same(self) -> np.ndarray:
        names = np.array([self.people.names[i] for i in self.people.positions])
        return names[self.left] == names[self.right]

    @property
    def index(self) -> pl.DataFrame:
        ids = self.people.index["id"].to_list()
        names = [f"{ids[i]} + {ids[j]}" for i, j in zip(self.left, self.right, strict=True)]
        return index_frame(names, label=[SAME if same else DIFFERENT for same in self.same])

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, position: int) -> Example:
        row = self.index.row(position, named=True)
        sides = [self.people[int(side[position])].inputs for side in (self.left, self.right)]
        return Example(row["id"], np.concatenate(sides, axis=1), row["label"])

    def take(self, positions: np.ndarray) -> Self:
        return replace(self, left=self.left[positions], right=self.right[positions])

    def join(self, other: Self) -> Self:
        shift = len(self.people)
        return type(self)(
            self.people.join(other.people),
            np.concatenate([self.left, other.left + shift]),
            np.concatenate([self.right, other.right + shift]),
        )

    def fingerprints(self) -> np.ndarray:
        prints = self.people.fingerprints()
        return prints[self.left] ^ (prints[self.right] << np.uint64(1))


@final
class PeopleReader(Reader):
    """A folder of pictures for each person."""

    abilities: ClassVar[frozenset[str]] = frozenset({PICTURES})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        names = [file.name for file in source.tree.files] if source.tree else []
        return Claim(1.0, f"{MARKER}: folders of people") if MARKER in names else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return Reading({"all": _people(source)})

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Ten people, each a random pattern, seen six times through noise."""
        rng = generator(seed, "sample")
        for person in range(10):
            pattern = rng.integers(40, 216, (6, 6)).repeat(4, axis=0).repeat(4, axis=1)
            place = folder / f"person {person}"
            place.mkdir(parents=True, exist_ok=True)
            for i in range(6):
                picture = (pattern + rng.normal(0, 12, pattern.shape)).clip(0, 255).astype(np.uint8)
                Image.fromarray(picture).save(place / f"{i}.png")
        (folder / MARKER).write_text("one folder a person\n")
        return folder

    def read_inputs(self, source: Source, settings: DataSettings, encoder: Any) -> Reading:
        """Pictures in name order, taken two and two."""
        people = _people(source)
        firsts = np.arange(0, len(people) - 1, 2)
        return Reading({"all": Pairs(people, firsts, firsts + 1)})

    def view(self, example: Example) -> View:
        return View(image=example.inputs)


@final
@dataclass(frozen=True)
class FaceEncoder(Encoder):
    """Pictures as they are, one or two of them."""

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        return cls()

    @property
    def inputs(self) -> PictureInputs:
        return PictureInputs(1, SIDE, SIDE, (0.5,), (0.5,))

    def encode(self, examples: Examples) -> Columns:
        if isinstance(examples, Pairs):
            pictures = torch.from_numpy(examples.people.pictures[examples.people.positions])
            return {"left": pictures[examples.left], "right": pictures[examples.right]}
        assert isinstance(examples, People)
        return {"image": torch.from_numpy(examples.pictures[examples.positions])}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        return gather(columns, indices)

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return (batch["image"],) if "image" in batch else (batch["left"], batch["right"])


@final
@dataclass(frozen=True)
class IdentityHead(Head):
    """Embeddings learnt by classifying identities."""

    wants: ClassVar[str] = "embedding"
    columns: ClassVar[tuple[str, ...]] = ("identity", "same")

    identities: tuple[str, ...]  # of the training split

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        return cls(tuple(sorted(train.index["group"].unique().to_list())))

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.identities))

    def encode(self, examples: Examples) -> Columns:
        if isinstance(examples, Pairs):
            return {"same": torch.from_numpy(examples.same.astype(np.int64))}
        return {"identity": torch.tensor([self.identities.index(name) for name in examples.index["group"]])}

    def build(self, body: Body) -> nn.Module:
        return body(len(self.identities))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        """(B, identities) logits of pictures, or (B,) distances of pairs."""
        if len(arguments) == 1:
            return model(*arguments)
        left, right = map(model.embed, arguments)
        return (left - right).square().sum(dim=1)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.dim() == 2:
            return functional.cross_entropy(outputs, batch["identity"], reduction="none")
        belief = SHARPNESS * (USUAL - outputs)
        return functional.binary_cross_entropy_with_logits(belief, batch["same"].to(belief.dtype), reduction="none")


@final
@dataclass(frozen=True)
class PairJudge(Judge):
    """Two pictures match when their distance is below a threshold."""

    threshold: float = USUAL  # distance below which two pictures are of one person: set on dev by `calibrate`

    @classmethod
    def of(cls, head: IdentityHead) -> Self:
        return cls()

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "verification error"

    def judged(self, examples: Examples, seed: int) -> Examples:
        """Every pair of one person, and as many pairs of two people."""
        if isinstance(examples, Pairs):
            return examples
        assert isinstance(examples, People)
        names = examples.index["group"].to_numpy()
        left, right = np.triu_indices(len(examples), k=1)
        same = names[left] == names[right]
        others = np.flatnonzero(~same)
        chosen = generator(seed, "pairs").permutation(others)[: same.sum()]
        kept = np.sort(np.concatenate([np.flatnonzero(same), chosen]))
        return Pairs(examples, left[kept], right[kept])

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        distance = outputs.double().cpu().numpy()
        confidence = 1 / (1 + np.exp(-SHARPNESS * np.abs(self.threshold - distance)))
        return Predictions((distance < self.threshold).astype(np.int64), confidence, {"distance": distance})

    def targets(self, batch: Batch) -> np.ndarray:
        return batch["same"].numpy()

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        return (np.asarray(values) != self.targets(batch)).astype(np.float64)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        return pl.Series([SAME if value else DIFFERENT for value in values], dtype=pl.String)

    def calibrate(self, evaluation: Evaluation) -> Self:
        """The threshold, half way between two neighbouring distances, that makes the fewest errors."""
        distance = evaluation.table["distance"].to_numpy()
        same = (evaluation.table["target"] == SAME).to_numpy()
        order = np.argsort(distance)
        # below the cut: `different` pairs are wrong; above it: `same` pairs
        wrong = np.concatenate([[0], np.cumsum(~same[order])]) + np.concatenate(
            [[same.sum()], same.sum() - np.cumsum(same[order])]
        )
        edges = np.concatenate([[distance.min() - 1], distance[order], [distance.max() + 1]])
        best = int(wrong.argmin())
        return replace(self, threshold=float((edges[best] + edges[best + 1]) / 2))

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return scores(evaluation)

    def less_is_better(self, measure: str) -> bool:
        return measure == "log loss"


def _people(source: Source) -> People:
    if source.tree is None:
        raise DataError("people come as folders of pictures.", where=source.origin, fix="hand over a folder.")
    files = [file.name for file in source.tree.files if file.name.lower().endswith((".png", ".pgm", ".jpg"))]
    if not files:
        raise DataError("there are no pictures.", where=source.origin, fix="hand over folders of pictures.")
    pictures = np.stack([_picture(source.tree.read(name)) for name in files])
    return People(pictures, tuple(name.rpartition("/")[0] for name in files), tuple(files), np.arange(len(files)))


def _picture(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L").resize((SIDE, SIDE)))


TASK = TaskKind(
    name="identities_to_pairs",
    title="verification",
    modality="picture",
    target="whether two are one person",
    reader=PeopleReader(),
    encoder=FaceEncoder,
    head=IdentityHead,
    judge=PairJudge,
    model="embedder",
    defaults=lambda _task, _num_train: {"optimiser.learning_rate": 3e-3, "stop.epochs": 15, "optimiser.batch_size": 32},
)
