"""A frozen backbone: its vectors are computed once for each example, and only the last layer is trained, on them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.example import Examples
from gnomon.core.family import Inputs
from gnomon.core.settings import Settings
from gnomon.core.task import Batch, Encoder, PlainInputs, Task, View
from gnomon.data.columns import Columns, gather, length
from gnomon.nn.stages import OnVectors
from gnomon.training.evaluate import judging
from gnomon.training.state import own_tensors, tensors_to_bytes

AT_ONCE = 32  # pictures per forward pass; on two cores larger batches are no faster
MOST_KEPT = 1 << 30  # bytes of vectors kept for the next training in this process

_kept: dict[str, dict[int, Tensor]] = {}  # of the last backbone: vectors by the fingerprints of the examples


def on_vectors(task: Task, model: nn.Module, key: str) -> tuple[Task, nn.Module]:
    """The task whose inputs are the vectors of a frozen `model`, and the part of the model that takes them.

    The part shares its parameters with the model: what trains it trains the model. `key` names everything that the
    vectors depend on; two backbones with one key share what they have computed.
    """
    return replace(task, encoder=VectorEncoder(task.encoder, model, key)), OnVectors(model)


@final
class VectorEncoder(Encoder):
    """Examples encoded as `base` does, then as the vectors (N, F) that the head of the frozen `model` takes."""

    references: ClassVar[tuple[str, ...]] = ("nearest neighbours",)  # a linear model is what is trained here

    def __init__(self, base: Encoder, model: Any, key: str) -> None:
        self.base, self.model, self._key = base, model, key

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        raise NotImplementedError("it is made from another encoder and a backbone")

    @property
    def inputs(self) -> Inputs:
        return self.base.inputs

    def input_kinds(self) -> str:
        return self.base.input_kinds()

    def seen(self, view: View) -> View:
        return self.base.seen(view)

    def depends_on(self) -> Any:
        return self._key

    def encode(self, examples: Examples) -> Columns:
        if self._key not in _kept:
            _kept.clear()
        known = _kept.setdefault(self._key, {})
        prints = examples.fingerprints().tolist()
        new = [place for place, one in enumerate(prints) if one not in known]
        if not new:
            return {"vector": torch.stack([known[one] for one in prints])}
        vectors = self._computed(examples if len(new) == len(prints) else examples.take(np.array(new)))
        found = dict(zip((prints[place] for place in new), vectors, strict=True))
        if (len(known) + len(found)) * vectors[0].nbytes <= MOST_KEPT:
            known.update((one, vector.clone()) for one, vector in found.items())
        return {"vector": torch.stack([known[one] if one in known else found[one] for one in prints])}

    def _computed(self, examples: Examples) -> Tensor:
        """(N, F) float32, on the CPU. A few pictures at a time exist as the backbone takes them."""
        device, parts = next(self.model.parameters()).device, list[Tensor]()
        with judging(self.model):
            for start in range(0, len(examples), AT_ONCE):
                columns = self.base.encode(examples.take(np.arange(start, min(start + AT_ONCE, len(examples)))))
                batch = self.base.collate(columns, torch.arange(length(columns)))
                batch = self.base.plain({name: one.to(device) for name, one in batch.items()})
                parts.append(self.model.vectors(*self.base.arguments(self.model, batch)).float().cpu())
        return torch.cat(parts)

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        return gather(columns, indices)

    def arguments(self, _model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return (batch["vector"],)

    def plain_inputs(self, columns: Columns) -> PlainInputs:
        vectors = columns["vector"]
        assert isinstance(vectors, Tensor)
        numbers = vectors.cpu().numpy()
        spread = numbers.std(axis=0)
        numbers = (numbers - numbers.mean(axis=0)) / (spread + (spread == 0))
        return PlainInputs(numbers, np.empty((len(numbers), 0), np.int64))


def key_of(model: nn.Module, encoder: Encoder) -> str:
    """What the vectors of this backbone depend on: every weight but the head's, and how examples are encoded."""
    tensors = {name: one for name, one in own_tensors(model).items() if not name.startswith("head.")}
    return hashlib.sha256(tensors_to_bytes(tensors) + repr(encoder.depends_on()).encode()).hexdigest()
