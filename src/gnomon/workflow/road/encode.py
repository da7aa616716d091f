"""Encode examples into tensors: train, and what training is evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch

from gnomon.core.example import Examples
from gnomon.core.parts import Judge
from gnomon.core.seeds import derive
from gnomon.data.columns import Columns, OnDemand
from gnomon.training.evaluate import encode_whole
from gnomon.workflow.road.build import Session
from gnomon.workflow.road.split import TRAIN_RUNG, Prepared, train_rows, train_sample

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


@dataclass(frozen=True)
class FoldPart:
    """What one fold's model is measured on, and where its rows stand in the table of all folds."""

    examples: Examples
    rows: np.ndarray  # (N,) rising numbers, different ones for each part


def judged_by_folds(prepared: Prepared, judge: Judge, split: str, seed: int) -> list[FoldPart]:
    """For each fold what its model answers for: of dev what it held out, of train a part that it saw.

    In the order of train; where pairs are judged, those of each fold's own examples, one fold after the other.
    """
    rows = seen_rows(prepared, seed) if split == "train" else prepared.folds
    train, drawn, parts, total = prepared.splits["train"], derive(seed, "judged"), list[FoldPart](), 0
    for positions in rows:
        given = train.take(positions)
        examples = judge.judged(given, drawn) if len(given) else given
        are_themselves = examples is given
        parts.append(FoldPart(examples, positions if are_themselves else total + np.arange(len(examples))))
        total += len(examples)
    return parts


def joined_parts(parts: Sequence[FoldPart], train: Examples) -> Examples:
    """The examples of all parts in the order of their rows."""
    rows = np.sort(np.concatenate([part.rows for part in parts]))
    if all(type(part.examples) is type(train) for part in parts):
        return train.take(rows)
    first, *others = (part.examples for part in parts if len(part.rows))
    whole: Any = first
    for examples in others:
        whole = whole.join(examples)
    found: Examples = whole
    return found


def seen_rows(prepared: Prepared, seed: int) -> list[np.ndarray]:
    """Of the training examples that are measured, those that each fold's model answers for: one of those that saw them.

    It is the fold after the one that held them out.
    """
    folds, total = prepared.folds, len(prepared.splits["train"])
    never = np.setdiff1d(np.arange(total), np.concatenate(folds))
    each = [folds[number - 1] for number in range(len(folds))]
    each[0] = np.union1d(each[0], never)
    return [np.intersect1d(rows, train_rows(total, TRAIN_RUNG, seed)) for rows in each]
