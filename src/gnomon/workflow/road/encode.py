"""Encode examples into tensors: train, and what training is evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

import torch

from gnomon.core.example import Examples
from gnomon.core.seeds import derive
from gnomon.data.columns import Columns, OnDemand
from gnomon.training.evaluate import encode_whole
from gnomon.workflow.road.build import Session
from gnomon.workflow.road.split import train_sample

EPOCH_SAMPLE = 2_000  # training examples that each epoch is evaluated on


@dataclass(frozen=True)
class Encoded:
    """What the loop trains on, and what it is evaluated on after each epoch."""

    session: Session
    columns: Columns  # of train, on the session's device
    judged: Mapping[str, Examples]  # by split: a sample of train, train-dev, dev
    judged_columns: Mapping[str, Columns]
    notes: tuple[str, ...]  # what happened on the way: written to disk, found in the cache


def encode(session: Session, place: Path) -> Encoded:
    """Train and the evaluated splits, encoded. `place` is where columns too large for memory go."""
    notes: list[str] = []
    columns = encode_whole(session.task, session.prepared.splits["train"], place, notes.append)
    return with_judged(session, columns, notes=tuple(notes))


def with_judged(
    session: Session, columns: Columns, encoded: Mapping[str, Columns] | None = None, notes: tuple[str, ...] = ()
) -> Encoded:
    """The `columns` of train with those of what each epoch is evaluated on.

    `encoded` has those of splits (train-dev, dev) that were encoded before.
    """
    small = min(EPOCH_SAMPLE, max(500, len(session.prepared.splits["train"]) // 20))
    judged = judged_splits(session, small)
    place = Path(gettempdir())
    judged_columns = {
        name: (encoded or {}).get(name) or encode_whole(session.task, part, place) for name, part in judged.items()
    }
    return Encoded(session, on_device(columns, session.device), judged, judged_columns, notes)


def judged_splits(session: Session, most_train: int) -> dict[str, Examples]:
    """What each open split is evaluated on. The test split stays sealed."""
    seed = derive(session.settings.seed, "judged")
    splits = {name: part for name, part in session.prepared.splits.items() if name != "test"}
    splits["train"] = train_sample(splits["train"], most_train, session.settings.seed)
    return {name: session.task.judge.judged(part, seed) for name, part in splits.items()}


def on_device(columns: Columns, device: torch.device) -> Columns:
    if device.type == "cpu" or isinstance(columns, OnDemand):  # of which each batch is moved
        return columns
    return {name: column.to(device) if isinstance(column, torch.Tensor) else column for name, column in columns.items()}
