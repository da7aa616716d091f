"""peek: how a source is interpreted and why, how it would be split, and nine examples as a picture. Trains nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from gnomon.figures.contact_sheet import draw_contact_sheet
from gnomon.figures.encode import png
from gnomon.runs.writer import write_bytes
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.card import class_counts
from gnomon.workflow.road.facts import fit_facts
from gnomon.workflow.road.open import settings_for, with_target
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.words import DataWords, spelled_out

SHOWN = 9
ACTING = ("data.", "split.", "task.", "seed", "runs_folder")  # the settings that do something here


@dataclass(frozen=True)
class Peek:
    """The result, and where the picture is."""

    prepared: Prepared
    counts: dict[str, dict[str, int]]  # {class (or "examples"): {split: count}}
    picture: Path  # RUNS/peek/NAME.png
    columns: str = ""  # the inputs by kind, as `fit` shows them


@spelled_out(DataWords)
def peek(source: Any, target: Any = None, **settings: Unpack[DataWords]) -> Peek:
    """Read and split `source` as `fit` would with these settings, and draw nine examples of train.

    Takes the data that `gnomon.fit` takes. Raises UsageError, DataError, ArtefactError.
    """
    source, values = with_target(source, target, settings)
    opened, _ = settings_for(values, verb="peek", acting=ACTING)
    fitted = fit_facts(prepare(source, opened), opened)
    prepared, task = fitted.prepared, fitted.task  # with the notes on columns that `fit` has
    train = prepared.splits["train"]
    chosen = np.unique(np.linspace(0, len(train) - 1, SHOWN).astype(np.int64))
    examples = [train[int(position)] for position in chosen]
    views = [(str(example.target), task.view(example)) for example in examples]
    picture = Path(opened.runs_folder) / "peek" / f"{prepared.source.name}.png"
    write_bytes(picture, png(draw_contact_sheet(views)))
    return Peek(prepared, counts(prepared), picture, task.encoder.input_kinds())


def counts(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Examples per class and split; classes in name order."""
    found: dict[str, dict[str, int]] = {}
    for split, examples in prepared.splits.items():
        for name, count in class_counts(examples).items():
            found.setdefault(name, {})[split] = count
    return dict(sorted(found.items()))
