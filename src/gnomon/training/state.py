"""Everything a run needs to go on as if it had never stopped: numbers as JSON, tensors as safetensors, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import safetensors.torch
import torch
from torch import Tensor, nn

from gnomon.core.errors import ArtefactError
from gnomon.training.dense_steps import DenseSteps
from gnomon.training.flat import FlatParameters
from gnomon.training.optimisers import Optimiser


@dataclass
class Counters:
    """Where training stands. `step` counts optimizer updates, `batch` those of `epoch`, all from 0."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seen: int = 0  # examples of this epoch so far
    epoch_loss: float = 0.0  # sum of batch losses of this epoch so far
    seconds: float = 0.0  # training time so far, over all sittings
    epoch_seconds: float = 0.0  # of which in this epoch
    best_error: float = float("inf")
    best_epoch: int = -1
    waited: int = 0  # epochs since the best one
    looks: int = 0  # times dev was looked at
    finished: bool = False
    ended_because: str = ""


@dataclass
class TrainingState:
    """The live objects of a run and their trip to bytes and back."""

    model: nn.Module
    parameters: FlatParameters
    optimiser: Optimiser
    augmentation: torch.Generator
    average: list[Tensor] = field(default_factory=list)  # the moving average of `parameters`, when there is one
    best: dict[str, Tensor] = field(default_factory=dict)  # the model's state at the best epoch
    counters: Counters = field(default_factory=Counters)
    by_hand: DenseSteps | None = None  # what a step calls in place of `model`, where that is faster

    def files(self) -> dict[str, bytes]:
        """The checkpoint, file by file."""
        random = {"torch": torch.get_rng_state(), "augmentation": self.augmentation.get_state()}
        average = {str(i): tensor for i, tensor in enumerate(self.average)}
        return {
            "model.safetensors": tensors_to_bytes(self.model.state_dict()),
            "optimizer.safetensors": tensors_to_bytes(self.optimiser.tensors()),
            "average.safetensors": tensors_to_bytes(average),
            "best.safetensors": tensors_to_bytes(self.best),
            "random.safetensors": tensors_to_bytes(random),
            "state.json": json.dumps(asdict(self.counters)).encode(),
        }

    def load(self, files: Mapping[str, bytes]) -> None:
        """Put back what `files` gave. Raises ArtefactError where it does not fit this model."""
        load_model(self.model, tensors_from_bytes(files, "model.safetensors"))
        self.optimiser.load(tensors_from_bytes(files, "optimizer.safetensors"))
        average = tensors_from_bytes(files, "average.safetensors")
        for i, tensor in enumerate(self.average):
            tensor.copy_(average[str(i)])
        self.best = tensors_from_bytes(files, "best.safetensors")
        random = tensors_from_bytes(files, "random.safetensors")
        torch.set_rng_state(random["torch"])
        self.augmentation.set_state(random["augmentation"])
        self.counters = _counters(files.get("state.json", b""))


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors, always in the plain row-major layout, so that equal values are equal bytes."""
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def tensors_from_bytes(files: Mapping[str, bytes], name: str) -> dict[str, Tensor]:
    """The tensors of one file. Raises ArtefactError naming it."""
    try:
        return safetensors.torch.load(files[name])
    except (KeyError, safetensors.SafetensorError, ValueError) as error:
        raise ArtefactError(
            f"not a readable safetensors file ({error}).", where=name, fix="use another checkpoint or train again."
        ) from None


def load_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy values into the model's own tensors. Raises ArtefactError when names or shapes differ."""
    own = model.state_dict()
    if own.keys() != tensors.keys() or any(own[name].shape != tensors[name].shape for name in own):
        odd = sorted(own.keys() ^ tensors.keys()) or [name for name in own if own[name].shape != tensors[name].shape]
        raise ArtefactError(
            f"the weights do not fit the model: {', '.join(odd[:3])}.",
            where="model.safetensors",
            fix="load them with the settings and the version of gnomon they were trained with.",
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def _counters(data: bytes) -> Counters:
    """The counters in `data`: exactly those there are, each of its type. Raises ArtefactError."""
    try:
        values = json.loads(data)
        wanted = asdict(Counters())
        if values.keys() == wanted.keys() and all(type(values[name]) is type(wanted[name]) for name in wanted):
            return Counters(**values)
    except (ValueError, AttributeError):
        pass
    raise ArtefactError("does not hold the counters of a run.", where="state.json", fix="use another checkpoint.")
