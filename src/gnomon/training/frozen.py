"""Frozen stages of a backbone: what they give is computed once for each example; what follows is trained on it."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.example import Examples
from gnomon.core.family import Inputs
from gnomon.core.parts import Batch, Encoding, PlainInputs, View
from gnomon.core.task import Task
from gnomon.data.columns import Columns, gather, length
from gnomon.data.pairs import PAIRED, Pairs, in_pairs
from gnomon.nn.stages import AfterFrozen
from gnomon.training.evaluate import judging
from gnomon.training.state import own_tensors, tensors_to_bytes

AT_ONCE = 8  # pictures per forward pass: on two cores more are no faster and take more memory
MOST_KEPT = 1 << 30  # bytes kept in this process; stages that give more are computed again in every step

_kept: dict[str, dict[int, Tensor]] = {}  # of the last frozen stages: what they give, by fingerprint of the example
_lock = threading.Lock()  # the studio may judge one run while another trains


def after_frozen(task: Task, model: nn.Module, frozen: int | str) -> tuple[Task, nn.Module]:
    """The task whose inputs are what the frozen stages of `model` give, and the part of the model that takes them.

    The part shares its parameters with the model: what trains it trains the model. `frozen`: a number of stages from
    the input on, or "backbone" for all but the head.
    """
    part = AfterFrozen(model, frozen)
    key = key_of(model, {name for name, _ in part.named_children()}, task.encoder)
    return replace(task, encoder=FrozenEncoder(task.encoder, model, frozen, key)), part


def can_be_kept(task: Task, model: Any, frozen: int | str, examples: Examples, count: int) -> bool:
    """Whether what the frozen stages give for `count` examples like the first of these fits into MOST_KEPT bytes.

    Side heads take what frozen stages give on the way: with them the whole net has to run.
    """
    if frozen == "backbone":
        return True
    if getattr(model, "sides", None):
        return False
    one = FrozenEncoder(task.encoder, model, frozen, "").computed(examples.take(np.arange(1)))
    return count * one.nbytes <= MOST_KEPT


@final
class FrozenEncoder(Encoding):
    """Examples encoded as `base` does, then as what the frozen stages of `model` give: (N, H, W, C), or (N, F)."""

    references: ClassVar[tuple[str, ...]] = ("nearest neighbours",)

    def __init__(self, base: Encoding, model: Any, frozen: int | str, key: str) -> None:
        self.base, self.model, self.frozen, self._key = base, model, frozen, key

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
        if isinstance(examples, Pairs):
            return in_pairs(examples, self.encode)
        known = _known(self._key)
        prints = examples.fingerprints().tolist()
        new = [place for place, one in enumerate(prints) if one not in known]
        beside = self.base.beside(examples)
        if not new:
            return {**beside, "given": torch.stack([known[one] for one in prints])}
        are_all = len(new) == len(prints)
        rows = self.computed(examples if are_all else examples.take(np.array(new)))
        found = dict(zip((prints[place] for place in new), rows, strict=True))
        with _lock:
            if (len(known) + len(found)) * rows[0].nbytes <= MOST_KEPT:
                known.update(found)
        given = rows if are_all else torch.stack([found[one] if one in found else known[one] for one in prints])
        return {**beside, "given": given}

    def beside(self, examples: Examples) -> Columns:
        return self.base.beside(examples)

    def computed(self, examples: Examples) -> Tensor:
        """(N, H, W, C) or (N, F) float32, on the CPU. A few pictures at a time exist as the backbone takes them."""
        device, whole = next(self.model.parameters()).device, torch.empty(0)
        with judging(self.model):
            for start in range(0, len(examples), AT_ONCE):
                columns = self.base.encode(examples.take(np.arange(start, min(start + AT_ONCE, len(examples)))))
                batch = self.base.collate(columns, torch.arange(length(columns)))
                batch = self.base.plain({name: one.to(device) for name, one in batch.items()})
                given = self._given(*self.base.arguments(self.model, batch)).float()
                if start == 0:
                    whole = torch.empty((len(examples), *given.shape[1:]))
                whole[start : start + len(given)] = given
        return whole

    def _given(self, pictures: Tensor) -> Tensor:
        if self.frozen == "backbone":
            vectors: Tensor = self.model.vectors(pictures)
            return vectors
        maps: Tensor = self.model.up_to(pictures, self.frozen)
        return maps.permute(0, 2, 3, 1)  # channels last, as convolutions take them fastest

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        return gather(columns, indices)

    def arguments(self, _model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        given = batch["given"]
        is_vector = given.dim() == (3 if PAIRED in batch else 2)
        return (given if is_vector else given.movedim(-1, -3),)

    def plain_inputs(self, columns: Columns) -> PlainInputs:
        """Of maps, the mean over places."""
        given = columns["given"]
        assert isinstance(given, Tensor)
        numbers = (given if given.dim() == 2 else given.mean(dim=(1, 2))).cpu().numpy()
        spread = numbers.std(axis=0)
        numbers = (numbers - numbers.mean(axis=0)) / (spread + (spread == 0))
        return PlainInputs(numbers, np.empty((len(numbers), 0), np.int64))


def _known(key: str) -> dict[int, Tensor]:
    """What is kept of the frozen stages with this key; that of all others is dropped."""
    with _lock:
        if key not in _kept:
            _kept.clear()
        return _kept.setdefault(key, {})


def key_of(model: nn.Module, trained: set[str], encoder: Encoding) -> str:
    """What the frozen stages give depends on this: their weights, and how examples are encoded."""
    tensors = {name: one for name, one in own_tensors(model).items() if name.partition(".")[0] not in trained}
    about = repr((type(encoder).__name__, encoder.depends_on()))
    return hashlib.sha256(tensors_to_bytes(tensors) + about.encode()).hexdigest()
