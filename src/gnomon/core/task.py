"""Task: one kind of problem, composed of a reader, an encoder, a head and a judge, each usable by several tasks.

The loop, the evaluation and the command line use these four parts (core/parts.py) and never ask for a task's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, final

from gnomon.core import found
from gnomon.core.facts import checked_facts, checked_keys
from gnomon.core.family import WithSides
from gnomon.core.knobs import (
    AUGMENTATION,
    DRAWN_LAYERS,
    HIDDEN_LAYERS,
    MIXED_TARGETS,
    PUBLIC_WEIGHTS,
    STAGES,
    STARTS,
    TARGET_DATA,
    TRAINED_STAGES,
    Here,
)
from gnomon.core.own import Augmentation, Loss, checked_batch, checked_losses
from gnomon.core.parts import EACH, MIXED_WITH, OWN_SHARE, Batch, Encoder, Encoding, Head, Judge, Reader, Sampler, View
from gnomon.core.settings import OwnSettings, Settings, flat, knobs

if TYPE_CHECKING:
    import torch

    from gnomon.core.evaluation import Evaluation
    from gnomon.core.example import Example, Examples
    from gnomon.core.settings import RegulariseSettings
    from gnomon.data.columns import Columns
OTHER = "other."  # before the names of the partners' columns


def _no_defaults(_task: Task, _num_train: int) -> dict[str, Any]:
    return {}


def _no_recipe(_task: Task, _model: str, _num_train: int) -> dict[str, Any]:
    return {}


@final
@dataclass(frozen=True)
class TaskKind:
    """One kind of problem before it has seen data: the `TASK` of a folder of gnomon/tasks."""

    name: str  # the folder's name
    title: str  # what a person calls it: "image classification"
    modality: str  # of its inputs: "table", "picture", "text", "sound" ... What is shown as a picture may be a sound.
    target: str  # what is predicted, in a word or two: "a class", "numbers", "boxes"
    reader: Reader
    encoder: type[Encoder]
    head: type[Head]
    judge: type[Judge]
    model: str  # the family of the first model
    composed: str = ""  # of colour pictures instead: a model with a backbone that starts from public weights
    settings: type[OwnSettings] = OwnSettings
    defaults: Callable[[Task, int], Mapping[str, Any]] = _no_defaults  # settings by the number of training examples
    recipe: Callable[[Task, str, int], Mapping[str, Any]] = _no_recipe  # likewise, by the name of the model as well
    sampler: Sampler | None = None  # how batches are formed; None: evenly, every example once an epoch

    def from_train(self, train: Examples, settings: Settings) -> Task:
        """The task with its facts fitted on the training split alone."""
        encoder = self.encoder.fit(train, settings)
        head = self.head.fit(train, settings).beside(encoder)
        return Task(self, encoder, head, self.judge.of(head))

    def from_facts(self, facts: Mapping[str, Any]) -> Task:
        """The task from what `Task.facts` returned, back from JSON. Raises ArtefactError naming the invalid field."""
        parts: dict[str, Any] = {"encoder": self.encoder, "head": self.head, "judge": self.judge}
        if "encoder" not in facts:  # written by gnomon 0.1: the facts of all parts in one
            facts = _by_part(parts, facts)
        checked_keys(facts, parts)
        encoder, head, judge = (checked_facts(part, facts[name]) for name, part in parts.items())
        return Task(self, encoder, head, judge)

    @property
    def has_pictures(self) -> bool:
        """Whether its examples are pictures: dark ones, blurred ones, turned ones."""
        return self.modality == "picture"


@final
@dataclass(frozen=True)
class Task:
    """One kind of problem, its facts fitted on a training split."""

    kind: TaskKind
    encoder: Encoding
    head: Head
    judge: Judge
    loss: Loss | None = None  # the user's own, in place of the head's
    augmentation: Augmentation | None = None  # likewise, after the encoder's

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def reader(self) -> Reader:
        return self.kind.reader

    def facts(self) -> dict[str, Any]:
        """The fitted facts as plain JSON values, by part."""
        return {name: asdict(getattr(self, name)) for name in ("encoder", "head", "judge")}

    def view(self, example: Example) -> View:
        """The example as a person looks at it, with what the model sees of it."""
        return self.encoder.seen(self.reader.view(example))

    def encode(self, examples: Examples) -> Columns:
        """Inputs and targets of a chunk."""
        return {**self.encoder.encode(examples), **self.head.encode(examples)}

    def collate(self, columns: Columns, indices: torch.Tensor) -> Batch:
        """The batch at `indices` as it is stored. Target columns may be missing (prediction)."""
        return self.head.collate(self.encoder.collate(columns, indices), columns, indices)

    def batch(self, columns: Columns, indices: torch.Tensor, device: torch.device | None = None) -> Batch:
        """The batch at `indices` as evaluation and prediction see it, on `device` (None: where the columns are)."""
        batch = self.collate(columns, indices)
        if device is not None:
            batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        return batch if EACH in batch else self.encoder.plain(batch)

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        """Training only: inputs (and what moves with them) changed at random, targets smoothed."""
        batch = self.encoder.augment(batch, settings, generator)
        partner, share = batch.pop(MIXED_WITH, None), batch.pop(OWN_SHARE, None)
        if self.augmentation is not None:
            batch = checked_batch(self.augmentation(dict(batch), generator), batch, self.augmentation)
        batch = self.head.soften(batch, settings)
        if partner is None or share is None:
            return batch
        if "weight" in batch:  # of which each part of the loss keeps its own
            own, other = share * batch["weight"], (1 - share) * batch["weight"][partner]
            batch["weight"] = own + other
            share = own / batch["weight"].clamp_min(1e-12)
        return {**batch, OWN_SHARE: share, **{OTHER + name: batch[name][partner] for name in self.head.columns}}

    def outputs(self, model: torch.nn.Module, batch: Batch) -> Any:
        """One forward pass."""
        arguments = () if EACH in batch else self.encoder.arguments(model, batch)
        return self.head.outputs(model, arguments, batch)

    def each(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """(M, ...): what the model gives for examples that several rows share."""
        return self.head.each(model, self.encoder.arguments(model, batch))

    def losses(self, outputs: Any, batch: Batch) -> torch.Tensor:
        """(B,): one value per example; of a net with side heads in training, with theirs."""
        if isinstance(outputs, WithSides):
            beside = [self.losses(side, batch) for side in outputs.sides]
            return self.losses(outputs.outputs, batch) + outputs.weight * sum(beside)
        if OWN_SHARE in batch:
            own, other, share = _unmixed(batch, self.head.columns)
            return share * self.losses(outputs, own) + (1 - share) * self.losses(outputs, other)
        if self.loss is None:
            return self.head.losses(outputs, batch)
        size = len(next(iter(batch.values())))
        return checked_losses(self.loss(outputs, self.head.wanted(outputs, batch)), self.loss, size)

    def losses_and_gradient(self, outputs: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """`losses`, and the gradient of each by its own outputs, (B, ...), without autograd."""
        if OWN_SHARE not in batch:
            return self.head.losses_and_gradient(outputs, batch)
        own, other, share = _unmixed(batch, self.head.columns)
        (losses, gradient), (others, toward) = (self.head.losses_and_gradient(outputs, one) for one in (own, other))
        each = share.view(-1, *(1,) * (gradient.dim() - 1))
        return share * losses + (1 - share) * others, each * gradient + (1 - each) * toward

    @property
    def gives_gradient(self) -> bool:
        """Whether the head's `losses_and_gradient` are those of `losses`."""
        return self.head.gives_gradient and self.loss is None

    def calibrate(self, evaluation: Evaluation) -> Task:
        """The task with what can only be set after training, from dev."""
        return replace(self, judge=self.judge.calibrate(evaluation))

    def here(self, settings: Settings, num_train: int = 0) -> Here:
        """The current values of the knobs, with these settings, filled in."""
        abilities = {*self.reader.abilities, *self.encoder.abilities, *self.head.abilities}
        if settings.model.name is not None:
            family = found.family(settings.model.name)
            abilities |= family.abilities(settings.model.name, family.settings.model_validate(settings.model.own))
            abilities |= {STAGES} if "features" in family.gives or family.backbone is not None else set()
            if STAGES in abilities and settings.transfer.freeze != "backbone":
                abilities.add(TRAINED_STAGES)
        if STAGES in abilities or self.head.goes_on:
            abilities.add(STARTS)
        if AUGMENTATION not in abilities:
            abilities.discard(MIXED_TARGETS)
        table = knobs(settings)
        if settings.transfer.pretrained or settings.transfer.weights is not None:
            # the architecture is that of the weights
            table = tuple(replace(one, steps=(), search=()) if one.key.startswith("model.") else one for one in table)
        elif HIDDEN_LAYERS in abilities:
            abilities.add(DRAWN_LAYERS)
        if settings.data.target_data is not None:
            abilities.add(TARGET_DATA)
        if getattr(self.encoder.inputs, "channels", None) == COLOUR and found.installed_weights():
            abilities.add(PUBLIC_WEIGHTS)
        return Here(flat(settings), frozenset(abilities), table, num_train)


def _unmixed(batch: Batch, columns: Sequence[str]) -> tuple[Batch, Batch, torch.Tensor]:
    """A mixed batch with its own targets, and with its partners'; the share (B,) of its own."""
    own = {name: tensor for name, tensor in batch.items() if name != OWN_SHARE and not name.startswith(OTHER)}
    return own, {**own, **{name: batch[OTHER + name] for name in columns}}, batch[OWN_SHARE]


COLOUR = 3  # channels of pictures
GONE = {"target_name"}  # a fact of gnomon 0.1 that no part needs any more


def _by_part(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    names = {part: [entry.name for entry in fields(kind)] for part, kind in parts.items()}
    divided: dict[str, Any] = {
        part: {name: facts[name] for name in own if name in facts} for part, own in names.items()
    }
    known = {name for own in names.values() for name in own} | GONE
    return {**divided, **{name: value for name, value in facts.items() if name not in known}}
