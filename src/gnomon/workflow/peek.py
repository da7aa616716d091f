"""peek: how a source is interpreted and why, how it would be split, and examples as a picture. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from gnomon.core.augmentation import KINDS, describe
from gnomon.core.example import Examples
from gnomon.core.family import PictureInputs
from gnomon.core.parts import MIXED_WITH, OWN_SHARE, Batch, View
from gnomon.core.seeds import derive
from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.data.annotated import AnnotatedExamples
from gnomon.data.annotated_facts import BoxFacts, box_facts
from gnomon.figures.contact_sheet import draw_contact_sheet
from gnomon.figures.encode import png
from gnomon.runs.writer import write_bytes
from gnomon.training.evaluate import encode_whole
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.facts import Fitted, fit_facts
from gnomon.workflow.road.open import settings_for, with_target
from gnomon.workflow.road.settings import fill_settings, refuse_idle_settings
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.words import DataWords, spelled_out

SHOWN = 9
ORIGINALS, COPIES = 5, 5  # of a sheet of augmented examples: rows, and columns after the original
WHOLE = 0.995  # of a picture: what is mixed into it does not show
CHANGES = frozenset({"regularise.augment", *(f"regularise.{kind}" for kind in KINDS)})
# The settings that do something here. A model does where it has its own choice of augmentation.
ACTING = ("data.", "split.", "task.", "seed", "runs_folder", "model.name", "transfer.", *sorted(CHANGES))


@dataclass(frozen=True)
class Peek:
    """The result, and where the picture is."""

    prepared: Prepared
    counts: dict[str, dict[str, int]]  # {class (or "examples"): {split: count}}
    picture: Path  # RUNS/peek/NAME.png
    columns: str = ""  # the inputs by kind, as `fit` shows them
    boxes: BoxFacts | None = None  # of all splits together, where pictures have boxes


@spelled_out(DataWords)
def peek(source: Any, /, target: Any = None, **settings: Unpack[DataWords]) -> Peek:
    """Read and split `source` as `fit` would with these settings, and draw nine examples of train.

    With augment= (auto is what `fit` would do) or the strength of a kind: a few examples, each beside random changes
    of it, as training sees them.

    Takes the data that `gnomon.fit` takes. Raises UsageError, DataError, ArtefactError.
    """
    source, values = with_target(source, target, settings)
    opened, given = settings_for(values, verb="peek", acting=ACTING)
    fitted = fit_facts(prepare(source, opened), opened)
    if given & CHANGES:
        return _augmented(fitted, opened, given)
    prepared, task = fitted.prepared, fitted.task  # with the notes on columns that `fit` has
    train = prepared.splits["train"]
    chosen = np.unique(np.linspace(0, len(train) - 1, SHOWN).astype(np.int64))
    views = _views(task, train.take(chosen))
    picture = Path(opened.runs_folder) / "peek" / f"{prepared.source.name}.png"
    write_bytes(picture, png(draw_contact_sheet(views)))
    return Peek(prepared, counts(prepared), picture, task.encoder.input_kinds(), _boxes(prepared, task))


def _views(task: Task, few: Examples) -> list[tuple[str | None, View]]:
    """(caption, view) of examples; of annotated pictures with what is annotated, under their names."""
    if not isinstance(few, AnnotatedExamples):
        return [(str(example.target), task.view(example)) for example in few]
    columns = encode_whole(task, few)
    truths = task.judge.describe(task.judge.targets(task.batch(columns, torch.arange(len(few)))))
    rows = [
        {"id": example.id, "target": truth, "height": int(height), "width": int(width)}
        for example, truth, (height, width) in zip(few, truths, few.sizes(), strict=True)
    ]
    return [(row["id"], task.judge.on_view(task.view(one), row, "target")) for one, row in zip(few, rows, strict=True)]


def _boxes(prepared: Prepared, task: Task) -> BoxFacts | None:
    """What the boxes of all splits are like; None for other data."""
    parts = [part for part in prepared.splits.values() if isinstance(part, AnnotatedExamples)]
    if not parts or parts[0].wanted != "boxes":
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.join(part)
    inputs = task.encoder.inputs
    assert isinstance(inputs, PictureInputs)  # what is annotated is a picture
    return box_facts(whole, whole.scales(inputs.height, inputs.width))


def _augmented(fitted: Fitted, opened: Settings, given: frozenset[str]) -> Peek:
    filled = refuse_idle_settings(fill_settings(fitted, opened, given))
    prepared, task = filled.prepared, filled.task
    picture = Path(opened.runs_folder) / "peek" / f"{prepared.source.name}-augmented.png"
    cells = augmented(task, prepared.splits["train"], filled.settings)
    write_bytes(picture, png(draw_contact_sheet(cells, columns=1 + COPIES)))
    about = (
        f"{ORIGINALS} examples, each beside {COPIES} of what augment={describe(filled.settings.regularise)} makes",
    )
    return Peek(
        replace(prepared, notes=(*prepared.notes, *about)), counts(prepared), picture, task.encoder.input_kinds()
    )


def augmented(task: Task, train: Examples, settings: Settings) -> list[tuple[str | None, View]]:
    """(caption, view) of a few examples, row by row: the original as the model sees it, then COPIES of its changes."""
    few = train.take(np.unique(np.linspace(0, len(train) - 1, ORIGINALS).astype(np.int64)))
    columns, indices = encode_whole(task, few), torch.arange(len(few))
    names = [str(few[place].target) for place in range(len(few))]
    generator = torch.Generator().manual_seed(derive(settings.seed, "augment"))
    sides: list[tuple[Sequence[str | None], list[View]]] = [(names, task.encoder.shown(task.batch(columns, indices)))]
    for _ in range(COPIES):
        batch = task.encoder.augment(task.collate(columns, indices), settings.regularise, generator)
        sides.append((_shares(names, batch), task.encoder.shown(batch)))
    return [(captions[row], views[row]) for row in range(len(few)) for captions, views in sides]


def _shares(names: Sequence[str], batch: Batch) -> Sequence[str | None]:
    """What each target is after mixing, where there is any: "70 % cat, 30 % dog"."""
    if OWN_SHARE not in batch:
        return [None] * len(names)
    found = []
    for name, share, other in zip(names, batch[OWN_SHARE].tolist(), batch[MIXED_WITH].tolist(), strict=True):
        is_alone = names[other] == name or share > WHOLE
        found.append(name if is_alone else f"{100 * share:.0f} % {name}, {100 - 100 * share:.0f} % {names[other]}")
    return found


def counts(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Examples per class and split; classes in name order."""
    found: dict[str, dict[str, int]] = {}
    for split, examples in prepared.splits.items():
        for name, count in examples.class_counts().items():
            found.setdefault(name, {})[split] = count
    return dict(sorted(found.items()))
