"""The loop of a craft: steps, measured after each epoch, saved so that a resumed run goes on bit for bit."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gnomon.core.craft import Craft, Material
from gnomon.core.errors import DivergedError
from gnomon.core.plain import Count, Seconds, parse_json, read_as
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings
from gnomon.training.flat import FlatParameters
from gnomon.training.loop import HARMLESS_RATE, SECONDS_BETWEEN_REPORTS, Watcher
from gnomon.training.optimisers import Optimiser
from gnomon.training.schedules import learning_rate_at
from gnomon.training.state import (
    OTHER,
    check_like,
    load_model,
    load_random,
    own_tensors,
    random_to_bytes,
    tensors_from_bytes,
    tensors_to_bytes,
)


@dataclass
class MakingCounters:
    """Where the work stands, counted from 0. `batch` counts the steps of `epoch`, `looks` the rows of the history."""

    step: Count = 0
    epoch: Count = 0
    batch: Count = 0
    looks: Count = 0
    losses: dict[str, float] = field(default_factory=dict)  # of each player, the sum over the steps of this epoch
    seconds: Seconds = 0.0  # of all steps, over all sittings
    finished: bool = False
    ended_because: str = ""


@dataclass
class MakingState:
    """What is made, and all that a step changes; its trip to bytes and back."""

    model: nn.Module
    optimisers: dict[str, Optimiser]  # of each player, in the order of their turns
    chance: torch.Generator
    counters: MakingCounters = field(default_factory=MakingCounters)

    @staticmethod
    def begin(craft: Craft, model: nn.Module, settings: Settings) -> MakingState:
        """Before the first step. The model is already on its device."""
        optimisers = {
            name: Optimiser(FlatParameters(part), settings.optimiser, settings.regularise, num_train=1)
            for name, part in craft.players(model).items()
        }
        return MakingState(model, optimisers, torch.Generator().manual_seed(derive(settings.seed, "make")))

    def files(self) -> dict[str, bytes]:
        """The checkpoint, file by file."""
        return {
            "model.safetensors": tensors_to_bytes(own_tensors(self.model)),
            "optimizer.safetensors": tensors_to_bytes(self._optimiser_tensors()),
            "random.safetensors": random_to_bytes({"chance": self.chance}),
            "state.json": json.dumps(asdict(self.counters)).encode(),
        }

    def load(self, files: Mapping[str, bytes], where: str) -> None:
        """Put back what `files`, those of the folder `where`, hold. Raises ArtefactError where one does not fit."""
        load_model(self.model, tensors_from_bytes(files, "model.safetensors", where), f"{where}/model.safetensors")
        own, kept = self._optimiser_tensors(), tensors_from_bytes(files, "optimizer.safetensors", where)
        check_like(kept, own, f"{where}/optimizer.safetensors")
        for name, tensor in own.items():
            tensor.copy_(kept[name])
        load_random(files, {"chance": self.chance}, where)
        try:
            counters = parse_json(files.get("state.json", b""))
        except ValueError:
            counters = None
        self.counters = read_as(MakingCounters, counters, where=f"{where}/state.json", root="state", fix=OTHER)

    def _optimiser_tensors(self) -> dict[str, Tensor]:
        each = self.optimisers.items()
        return {f"{name}.{slot}": tensor for name, one in each for slot, tensor in one.tensors().items()}


@dataclass(frozen=True)
class MakingJob:
    """What is made, of what, and who is told."""

    craft: Craft
    material: Material
    settings: Settings  # filled in
    watcher: Watcher
    record: Callable[[Mapping[str, Any]], None]  # keeps a row of the history
    save: Callable[[MakingState], None]  # commits a checkpoint
    stop_asked: Callable[[], bool]  # a signal has come
    deadline: float = math.inf  # on time.monotonic()'s clock: the step that passes it is the last

    @property
    def steps_per_epoch(self) -> int:
        return max(1, self.craft.steps_per_epoch(self.material, self.settings))

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return learning_rate_at(
            step, highest=self.settings.optimiser.learning_rate or 0.0, settings=self.settings.schedule,
            steps_per_epoch=self.steps_per_epoch, epochs=self.settings.stop.epochs or 1,
        )  # fmt: skip


def make(job: MakingJob, state: MakingState) -> None:
    """Work from where `state` stands to the end of the last epoch, a stop, or the deadline.

    When a stop is asked, the state is saved and the loop returns with `counters.finished` False. Raises DivergedError
    on a loss that is not finite, with that turn not applied.
    """
    counters, steps, epochs = state.counters, job.steps_per_epoch, job.settings.stop.epochs or 1
    last_save = last_told = time.monotonic()
    while not counters.finished:
        while counters.batch < steps:
            loss = _step(job, state)
            now = time.monotonic()
            if now - last_told >= SECONDS_BETWEEN_REPORTS:
                job.watcher.on_step(counters.epoch, counters.batch, steps, loss)
                last_told = now
            if now >= job.deadline:
                counters.finished, counters.ended_because = True, "max_time"
                break
            if counters.batch == steps:  # saved below, after the epoch's row: no row is written twice
                break
            if job.stop_asked():
                job.save(state)
                return
            if now - last_save >= job.settings.machine.save_every:
                job.save(state)
                last_save = time.monotonic()
        _end_epoch(job, state)
        if not counters.finished and counters.epoch >= epochs:
            counters.finished, counters.ended_because = True, "epochs"
        if job.stop_asked() and not counters.finished:
            job.save(state)
            return
        if time.monotonic() - last_save >= job.settings.machine.save_every:
            job.save(state)
            last_save = time.monotonic()


def _step(job: MakingJob, state: MakingState) -> float:
    """One turn of every player; the loss of the first."""
    started, counters, losses = time.monotonic(), state.counters, []
    rate = job.rate(counters.step)
    state.model.train()
    loss = job.craft.descend(state.model, job.material, job.settings, rate, state.chance)
    if loss is not None:
        losses.append(_finite(job, state, "loss", loss))
    for player, optimiser in state.optimisers.items() if loss is None else ():
        loss = job.craft.loss(state.model, player, job.material, job.settings, state.chance)
        value = _finite(job, state, player, loss)
        loss.backward()  # type: ignore[no-untyped-call]
        for other in state.optimisers.values():  # a loss also has gradients by what it is not this player's to change
            if other is not optimiser:
                other.parameters.zero_gradients()
        optimiser.step(rate)
        losses.append(value)
    for player, value in zip(state.optimisers, losses, strict=True):
        counters.losses[player] = counters.losses.get(player, 0.0) + value
    job.craft.advance(state.model)
    counters.step += 1
    counters.batch += 1
    counters.seconds += time.monotonic() - started
    return losses[0]


def _finite(job: MakingJob, state: MakingState, player: str, loss: Tensor) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise _diverged(job, state, player)
    return value


def _end_epoch(job: MakingJob, state: MakingState) -> None:
    """Measure, write the row, move on."""
    counters = state.counters
    row = {
        "epoch": counters.epoch + 1,
        "step": counters.step,
        "losses": {name: total / max(1, counters.batch) for name, total in counters.losses.items()},
        "measures": measured(job.craft, state.model, job.material, job.settings),
        "learning_rate": job.rate(max(0, counters.step - 1)),
        "seconds": counters.seconds,
    }
    counters.looks += 1
    job.record(row)
    job.watcher.on_epoch(row)
    counters.epoch, counters.batch, counters.losses = counters.epoch + 1, 0, {}


def measured(craft: Craft, model: nn.Module, material: Material, settings: Settings) -> dict[str, float]:
    """What the craft measures, in the order in which it declares its measures."""
    model.eval()
    with torch.no_grad():
        found = craft.measure(model, material, settings)
    return {measure.name: float(found[measure.name]) for measure in craft.measures}


def _diverged(job: MakingJob, state: MakingState, player: str) -> DivergedError:
    rate = job.settings.optimiser.learning_rate or 0.0
    return DivergedError(
        f"the loss{'' if player == 'loss' else f' of {player}'} is not a finite number at step "
        f"{state.counters.step + 1} (epoch {state.counters.epoch + 1}). It was not applied.",
        fix=f"start again with learning_rate={min(rate / 10, HARMLESS_RATE):g} (it was {rate:g}).",
    )
