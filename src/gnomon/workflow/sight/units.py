"""What the units of each stage see: the patches of dev pictures that excite some of them most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor

from gnomon.checks.feature_maps import Stage, stages_in, watching
from gnomon.data.pairs import Pairs
from gnomon.strategy.evidence import MOSTLY, TOP, Patch, StageUnits, Unit
from gnomon.training.evaluate import judging, outputs_of
from gnomon.workflow.sight.pictures import as_shown, device_of, require_pictures

if TYPE_CHECKING:
    from gnomon.core.example import Examples
    from gnomon.training.evaluate import Member

UNITS = 8  # of a stage that are shown, evenly spaced among those that are not silent
PICTURES = 2_000  # that are looked at, evenly spaced
STAGES = 6  # that are shown at most, the last ones


def units_of(
    member: Member, examples: Examples, *, most: int = PICTURES, shown: int = UNITS
) -> tuple[StageUnits, ...]:  # fmt: skip
    """For each stage of the net, some units with their patches; empty for a net without feature maps.

    `examples` are of dev: not test, which must stay unseen, and not train, which the net may know by heart. At most
    `most` of them are looked at, and `shown` units of a stage shown. Raises UsageError for a task without pictures.
    """
    require_pictures(member.task)
    if not len(examples):
        return ()
    task, model, device = member.task, member.model, device_of(member.model)
    examples = examples.members if isinstance(examples, Pairs) else examples
    chosen = np.unique(np.linspace(0, len(examples) - 1, min(most, len(examples))).astype(np.int64))
    examples = examples.take(chosen)
    first = task.batch(task.encoder.encode(examples.take(np.array([0]))), torch.tensor([0]), device)
    if "image" not in first:  # pairs of pictures
        return ()
    with judging(model):
        stages = stages_in(model, lambda _: task.outputs(model, first), first["image"])[-STAGES:]
        best = {stage.name: _Best(stage) for stage in stages}
        if stages:
            with watching(stages) as maps:
                for _ in outputs_of(task, model, examples, device=device):
                    for name, one in best.items():
                        one.add(maps[name])
    labels = [name or "" for name in examples.index["label"].cast(str).to_list()]
    return tuple(_stage_units(member, examples, labels, one, shown) for one in best.values())


@final
@dataclass
class _Best:
    """The TOP pictures of each unit of a stage so far, with the place in each where the unit is highest."""

    stage: Stage
    seen: int = 0  # pictures
    values: Tensor = field(default_factory=lambda: torch.empty(0))  # (C, TOP), highest first
    pictures: Tensor = field(default_factory=lambda: torch.empty(0))  # (C, TOP) positions
    places: Tensor = field(default_factory=lambda: torch.empty(0))  # (C, TOP) positions in the flattened map
    lowest: Tensor = field(default_factory=lambda: torch.empty(0))  # (C,): the lowest of the highest values so far

    def add(self, maps: Tensor) -> None:
        """The maps (B, C, H, W) of the next B pictures."""
        highest, places = (one.T for one in maps.float().cpu().flatten(2).max(dim=2))  # (C, B)
        pictures = torch.arange(self.seen, self.seen + len(maps)).expand_as(places)
        lowest = highest.min(dim=1).values
        self.lowest = torch.minimum(self.lowest, lowest) if self.seen else lowest
        if self.seen:
            highest = torch.cat([self.values, highest], dim=1)
            pictures, places = torch.cat([self.pictures, pictures], dim=1), torch.cat([self.places, places], dim=1)
        self.values, order = highest.topk(min(TOP, highest.shape[1]), dim=1)
        self.pictures, self.places = pictures.gather(1, order), places.gather(1, order)
        self.seen += len(maps)

    @property
    def silent(self) -> Tensor:
        """(C,) bool: the same for every picture."""
        return self.values[:, 0] <= self.lowest


def _stage_units(
    member: Member, examples: Examples, labels: Sequence[str], best: _Best, most: int
) -> StageUnits:  # fmt: skip
    stage = best.stage
    live = torch.nonzero(~best.silent)[:, 0].tolist()
    chosen = [live[i] for i in np.unique(np.linspace(0, len(live) - 1, min(most, len(live))).astype(int))]
    named = [[labels[i] for i in best.pictures[unit].tolist()] for unit in live]
    of_one = sum(max(row.count(name) for name in row if name) >= MOSTLY for row in named if any(row))
    shown = sorted({i for unit in chosen for i in best.pictures[unit].tolist()})
    pictures = dict(zip(shown, _batch(member, examples, shown), strict=True)) if shown else {}
    ids = examples.index["id"]
    units = []
    for unit in chosen:
        rows = zip(*(one[unit].tolist() for one in (best.pictures, best.places, best.values)), strict=True)
        patches = [_patch(pictures[i], stage, place, value, str(ids[i]), labels[i]) for i, place, value in rows]
        units.append(Unit(unit, tuple(patches)))
    sees = None if stage.field is None or _covers(stage, pictures) else stage.field.size
    return StageUnits(
        stage.name, stage.channels, stage.channels - len(live), stage.places, sees, of_one, best.seen,
        tuple(units),
    )  # fmt: skip


def _covers(stage: Stage, pictures: dict[int, Tensor]) -> bool:
    """Whether the field is as large as the pictures."""
    sizes = [one.shape[1:] for one in pictures.values()][:1]
    return stage.field is not None and any(
        size <= reach for one in sizes for size, reach in zip(one, stage.field.size, strict=True)
    )


def _patch(picture: Tensor, stage: Stage, place: int, value: float, name: str, label: str) -> Patch:
    """What the place sees of the picture (C, H, W); all of it where it could see as much as there is, or more."""
    height, width = picture.shape[1:]
    row, column = divmod(place, stage.places[1])
    if stage.field is None or stage.field.size[0] >= height or stage.field.size[1] >= width:
        down, across = height / stage.places[0], width / stage.places[1]
        frame = int(row * down), int(column * across), int((row + 1) * down), int((column + 1) * across)
        return Patch(as_shown(picture), (0, 0), value, name, label, frame)
    top, left, bottom, right = stage.field.window(row, column)
    pixels = picture[:, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    return Patch(as_shown(pixels), (max(-top, 0), max(-left, 0)), value, name, label)


def _batch(member: Member, examples: Examples, places: Sequence[int]) -> Tensor:
    """(B, C, H, W): pictures as the model sees them."""
    columns = member.task.encoder.encode(examples.take(np.array(places)))
    return member.task.batch(columns, torch.arange(len(places)))["image"]
