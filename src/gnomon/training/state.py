"""Everything a run needs to continue as if it had never stopped: numbers as JSON, tensors as safetensors, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import safetensors.torch
import torch
from torch import Tensor, nn

from gnomon.core.errors import ArtefactError
from gnomon.core.plain import Between, Count, Seconds, parse_json, read_as
from gnomon.training.dense_steps import DenseSteps
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser
from gnomon.training.samplers import Epoch


@dataclass
class Counters:
    """How far training is. `step` counts optimizer updates, `batch` those of `epoch`, all from 0."""

    step: Count = 0
    epoch: Count = 0
    batch: Count = 0
    seen: Count = 0  # examples of this epoch so far
    epoch_loss: float = 0.0  # sum over the scored units (the examples, without weights) of this epoch so far
    epoch_units: Annotated[float, Between(0, 1e300)] = 0.0  # how many units those are
    micro_batch: Count = 0  # examples at a time that fit into memory, if a whole batch did not (0: it does)
    planned_size: Count = 0  # the batch size when this epoch's order was drawn
    seconds: Seconds = 0.0  # training time so far, over all sessions
    epoch_seconds: Seconds = 0.0  # of which in this epoch
    best_error: float = float("inf")
    best_epoch: Annotated[int, Between(-1, 2**53)] = -1
    waited: Count = 0  # epochs since the best one
    looks: Count = 0  # evaluations on dev
    finished: bool = False
    ended_because: str = ""


@dataclass
class TrainingState:
    """The live objects of a run, and their conversion to bytes and back."""

    model: nn.Module
    parameters: FlatParameters
    optimiser: Optimiser
    augmentation: torch.Generator
    average: list[Tensor] = field(default_factory=list)  # the moving average of `parameters`, if there is one
    best: dict[str, Tensor] = field(default_factory=dict)  # the model's state at the best epoch
    counters: Counters = field(default_factory=Counters)
    plan: Epoch | None = None  # of the current epoch; drawn again by a resumed run
    by_hand: DenseSteps | None = None  # what a step calls in place of `model`, where that is faster

    def files(self) -> dict[str, bytes]:
        """The checkpoint, file by file."""
        average = {str(i): tensor for i, tensor in enumerate(self.average)}
        return {
            "model.safetensors": tensors_to_bytes(own_tensors(self.model)),
            "optimizer.safetensors": tensors_to_bytes(self.optimiser.tensors()),
            "average.safetensors": tensors_to_bytes(average),
            "best.safetensors": tensors_to_bytes(self.best),
            "random.safetensors": random_to_bytes({"augmentation": self.augmentation}),
            "state.json": json.dumps(asdict(self.counters)).encode(),
        }

    def load(self, files: Mapping[str, bytes], where: str = "") -> None:
        """Restore what is in `files`, which are those of the folder `where`.

        Raises ArtefactError if a file does not fit this model.
        """
        place = f"{where}/" if where else ""
        load_model(self.model, tensors_from_bytes(files, "model.safetensors", where), f"{place}model.safetensors")
        optimiser = tensors_from_bytes(files, "optimizer.safetensors", where)
        self.optimiser.load(optimiser, f"{place}optimizer.safetensors")
        average = tensors_from_bytes(files, "average.safetensors", where)
        check_like(average, {str(i): own for i, own in enumerate(self.average)}, f"{place}average.safetensors")
        for i, tensor in enumerate(self.average):
            tensor.copy_(average[str(i)])
        self.best = tensors_from_bytes(files, "best.safetensors", where)
        if self.best:
            check_like(self.best, own_tensors(self.model), f"{place}best.safetensors")
        load_random(files, {"augmentation": self.augmentation}, where)
        self.counters = _counters(files.get("state.json", b""), f"{place}state.json")


def random_to_bytes(generators: Mapping[str, torch.Generator]) -> bytes:
    """The states of torch's global generator and of these, by name."""
    states = {name: generator.get_state() for name, generator in generators.items()}
    return tensors_to_bytes({"torch": torch.get_rng_state(), **states})


def load_random(files: Mapping[str, bytes], generators: Mapping[str, torch.Generator], where: str) -> None:
    """Put back what `random_to_bytes` saved in the folder `where`. Raises ArtefactError if it does not fit."""
    place = f"{where}/random.safetensors" if where else "random.safetensors"
    saved = tensors_from_bytes(files, "random.safetensors", where)
    now = {name: generator.get_state() for name, generator in generators.items()}
    check_like(saved, {"torch": torch.get_rng_state(), **now}, place)
    try:
        torch.set_rng_state(saved["torch"])
        for name, generator in generators.items():
            generator.set_state(saved[name])
    except (RuntimeError, TypeError) as error:  # of the right size, but not a state of this generator
        raise ArtefactError(f"is not a state of a random generator ({error}).", where=place, fix=OTHER) from None


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors, always in plain row-major layout, so that equal values are equal bytes."""
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def tensors_from_bytes(files: Mapping[str, bytes], name: str, where: str = "") -> dict[str, Tensor]:
    """The tensors of one file of the folder `where`. Raises ArtefactError naming it."""
    try:
        return safetensors.torch.load(files[name])
    except (KeyError, safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise ArtefactError(
            f"not a readable safetensors file ({error}).", where=f"{where}/{name}" if where else name,
            fix="use another checkpoint or train again.",
        ) from None  # fmt: skip


def own_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The model's state, detached: tied tensors (one weight of two layers) once, under the first of their names."""
    seen, own = set[tuple[Any, ...]](), dict[str, Tensor]()
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()) if tensor.numel() else (name,)
        if place not in seen:
            seen.add(place)
            own[name] = tensor
    return own


def load_model(model: nn.Module, tensors: Mapping[str, Tensor], where: str = "model.safetensors") -> None:
    """Copy values into the model's own tensors; what it ties stays tied.

    Raises ArtefactError if names, shapes or values do not fit.
    """
    own = own_tensors(model)
    check_like(tensors, own, where)
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def check_like(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], where: str) -> None:
    """Raises ArtefactError for names, shapes or kinds of numbers other than those of `own`, and for inf and NaN."""
    odd = sorted(own.keys() ^ tensors.keys()) or [
        name
        for name in own
        if own[name].shape != tensors[name].shape or not torch.can_cast(tensors[name].dtype, own[name].dtype)
    ]
    if odd:
        raise ArtefactError(
            f"the weights do not fit the model: {', '.join(odd[:3])}.",
            where=where,
            fix="load them with the settings and the version of gnomon they were trained with.",
        )
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor.to(own[name].dtype)).all():  # a large float64 becomes infinite as a float32
            raise ArtefactError(f"{name} has a weight that is not a finite number.", where=where, fix=OTHER)


def _counters(data: bytes, where: str) -> Counters:
    """The counters in `data`: exactly the known ones, each of its type. Raises ArtefactError."""
    try:
        values = parse_json(data)
    except ValueError:
        values = None
    return read_as(Counters, values, where=where, root="state", fix=OTHER)


OTHER = "use another checkpoint."
