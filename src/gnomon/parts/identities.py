"""Identities: pictures of people, signatures or products, and a head that learns vectors in which they lie apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import WithSides
from gnomon.core.knobs import PICTURES, Knob
from gnomon.core.parts import EACH, Batch, Body, Claim, Head, Reader, View
from gnomon.core.settings import DataSettings, OwnSettings, Settings, setting
from gnomon.data import images
from gnomon.data.columns import Columns
from gnomon.data.images import Whites
from gnomon.data.images.people import read_people
from gnomon.data.pairs import PAIRED, Pairs, all_pairs
from gnomon.data.source import Source
from gnomon.nn.identities import (
    Compared,
    IdentityLayer,
    Margin,
    Mining,
    contrastive_losses,
    margin_softmax,
    pair_losses,
    triplet_losses,
)
from gnomon.parts.pictures import PictureEncoder

MOST_ASKED = 200  # pictures whose pairs are all predicted: 19,900 of them
LossName = Literal["cosface", "arcface", "triplet", "pairs"]
WITH_PEOPLE: tuple[LossName, ...] = ("cosface", "arcface")  # losses that tell the training identities apart
WITH_MARGIN: tuple[LossName, ...] = (*WITH_PEOPLE, "triplet")


@final
class VerificationSettings(OwnSettings):
    """How vectors of identities are learned, and which error the threshold is chosen for."""

    loss: LossName = setting(
        "cosface",
        "cosface, arcface: tells the training identities apart, with a margin; triplet: a picture is nearer to its own "
        "identity than to another; pairs: a learned comparison of two vectors",
    )
    margin: float = setting(
        0.2,
        "of the loss: by how much the own identity must be better (cosface: cosine; arcface: radians; triplet: squared "
        "distance)",
        Knob(("fit-dev",), when=("task.loss", WITH_MARGIN)),
        ge=0,
        le=2,
    )
    logit_scale: float = setting(
        16.0, "factor on the cosines in cosface and arcface", Knob(("fit-train",), when=("task.loss", WITH_PEOPLE)),
        gt=0, le=1000,
    )  # fmt: skip
    mining: Mining = setting(
        "semi-hard",
        "which triplets of a batch count: random, hard or semi-hard",
        Knob(when=("task.loss", ("triplet",))),
    )
    compared: Compared = setting(
        "difference", "what loss=pairs looks at: difference, |f - f'|; chi-square", Knob(when=("task.loss", ("pairs",)))
    )
    vector_size: int = setting(128, "numbers in the vector of a picture", Knob(("fit-train",)), ge=2, le=8192)
    far: float | None = setting(
        None,
        "the false accept rate that the threshold is chosen for on dev: far=0.001 (default: as many false accepts as "
        "false rejects)",
        gt=0,
        lt=1,
    )


@final
@dataclass(frozen=True)
class PicturesOfPeople(Reader):
    """A folder of pictures for each identity. Its data is that of image classification unless it is asked for."""

    abilities: ClassVar[frozenset[str]] = frozenset({PICTURES})
    is_asked_for: ClassVar[bool] = True

    sample: Callable[[Path, int], Path]

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        """None: which of two tasks folders of pictures are for, only a person can say."""
        return None

    def claim_asked(self, source: Source, settings: DataSettings) -> Claim | None:
        found = None if source.tree is None else images.claim(source, settings)
        return (
            None if found is None else replace(found, why=found.why.replace("class folders", "folders of identities"))
        )

    def read(self, source: Source, settings: DataSettings) -> Reading:
        if source.tree is None:
            raise DataError(
                "identities come as folders of pictures.", where=source.origin,
                fix="give a folder with a folder of pictures for each person.",
            )  # fmt: skip
        reading = read_people(source.tree, settings)
        return replace(reading, notes=source.notes + reading.notes)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: PictureEncoder) -> Reading:
        """Every two pictures: of two one pair, of a folder all pairs."""
        reading = self.read_pictures(source, settings, encoder)
        pictures = reading.splits["all"]
        if not 2 <= len(pictures) <= MOST_ASKED:
            raise DataError(
                f"{len(pictures):,} pictures make {'no pair' if len(pictures) < 2 else 'too many pairs'}.",
                where=source.origin,
                fix=f"give two pictures, or up to {MOST_ASKED} to compare each with each.",
            )
        return replace(reading, splits={"all": all_pairs(pictures)})

    def read_pictures(self, source: Source, settings: DataSettings, encoder: PictureEncoder) -> Reading:
        """Every picture by itself, without its identity, under the key "all"."""
        return images.read_unlabelled(source, settings, encoder.whites or Whites())

    def write_sample(self, folder: Path, seed: int) -> Path:
        return self.sample(folder, seed)

    def view(self, example: Example) -> View:
        return View(image=example.inputs)


@final
@dataclass(frozen=True)
class IdentityHead(Head):
    """Vectors of length 1 in which pictures of one identity lie near each other."""

    columns: ClassVar[tuple[str, ...]] = ("identity", "same", "people", "pictures")

    identities: tuple[str, ...]  # of the training split
    loss: LossName = "cosface"
    margin: float = 0.2
    scale: float = 16.0
    mining: Mining = "semi-hard"
    compared: Compared | None = None  # None: the squared distance
    vector_size: int = 128
    far: float | None = None

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        own = VerificationSettings.model_validate(settings.task.own)
        if own.loss not in WITH_PEOPLE and settings.machine.micro_batch is not None:
            raise UsageError(
                f"loss={own.loss} compares the pictures of a whole batch, and micro_batch cuts it.",
                fix="use a smaller batch_size, or loss=cosface.",
            )
        names = tuple(sorted(train.index["group"].unique().to_list()))
        compared = own.compared if own.loss == "pairs" else None
        return cls(names, own.loss, own.margin, own.logit_scale, own.mining, compared, own.vector_size, own.far)

    def encode(self, examples: Examples) -> Columns:
        """Of pictures `identity` (N,), -1 for one that training never showed.

        Of pairs `same` (N,) bool, and codes of both sides, `people` and `pictures` (N, 2).
        """
        if isinstance(examples, Pairs):
            codes = examples.codes()
            known = {} if codes is None else {"people": torch.from_numpy(codes)}
            codes_of_pictures = torch.from_numpy(examples.example_codes())
            return {"same": torch.from_numpy(examples.same), **known, "pictures": codes_of_pictures}
        place = {name: number for number, name in enumerate(self.identities)}
        return {"identity": torch.tensor([place.get(name, -1) for name in examples.index["group"]])}

    def build(self, body: Body) -> nn.Module:
        """The network of the settings, whose last layer gives unit vectors and holds what the loss needs."""
        model: Any = body(self.vector_size)
        people = len(self.identities) if self.loss in WITH_PEOPLE else 0
        passes_on = getattr(model, "gives_vectors", False) and model.head.in_features == self.vector_size
        model.head = IdentityLayer(model.head, self.vector_size, people, self.compared, passes_on=passes_on)
        return cast(nn.Module, model)

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Any:
        """Of pairs their distances (B,); of pictures in training cosines with people (B, K), or distances (B, B)."""
        layer = _layer_of(model, self)
        if EACH in batch:
            return layer.distances(batch[EACH][:, 0], batch[EACH][:, 1])
        if PAIRED in batch:
            (pictures,) = arguments  # (B, 2, ...)
            vectors = vectors_of(model, pictures.flatten(0, 1)).unflatten(0, (-1, 2))
            return layer.distances(vectors[:, 0], vectors[:, 1])

        def compared(vectors: Tensor) -> Tensor:
            vectors = functional.normalize(vectors, dim=1)
            if self.loss in WITH_PEOPLE:
                return layer.cosines(vectors)
            return layer.distances(vectors[:, None], vectors[None, :])

        found = model(*arguments)
        if isinstance(found, WithSides):  # side heads give vectors of their own
            return WithSides(compared(found.outputs), tuple(map(compared, found.sides)), found.weight)
        return compared(found)

    def each(self, model: nn.Module, arguments: tuple[Any, ...]) -> Tensor:
        """(M, D): the vectors of pictures."""
        return vectors_of(model, *arguments)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.dim() == 1:
            if self.compared is None:
                return contrastive_losses(outputs, batch["same"])
            return functional.softplus(torch.where(batch["same"], outputs, -outputs))
        identity = batch["identity"]
        if self.loss == "triplet":
            return triplet_losses(outputs, identity, margin=self.margin, mining=self.mining)
        if self.loss == "pairs":
            return pair_losses(outputs, identity)
        kind: Margin = "arcface" if self.loss == "arcface" else "cosface"
        return margin_softmax(outputs, identity, kind=kind, margin=self.margin, scale=self.scale)


def vectors_of(model: nn.Module, pictures: Tensor) -> Tensor:
    """(B, D) of length 1: what a trained model makes of pictures as its encoder's `arguments` gives them."""
    return functional.normalize(_plain(model(pictures)), dim=1)


def _plain(found: Any) -> Tensor:
    vectors: Tensor = found.outputs if isinstance(found, WithSides) else found
    return vectors


def _layer_of(model: Any, head: IdentityHead) -> IdentityLayer:
    """The last layer. Raises UsageError for a network of the user's own whose last layer is not gnomon's."""
    layer = getattr(model, "head", None)
    if isinstance(layer, IdentityLayer):
        return layer
    if head.loss != "triplet":
        raise UsageError(
            f"loss={head.loss} needs a last layer of gnomon's, and this network is your own.", fix="use loss=triplet."
        )
    return IdentityLayer(nn.Identity(), head.vector_size, 0, None)
