"""The vectors that a run of verification makes of pictures: what is kept of people, and compared with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from gnomon.core.errors import UsageError
from gnomon.core.example import BadInput
from gnomon.data.columns import length
from gnomon.data.opening import open_source
from gnomon.parts.identities import IdentityHead, PicturesOfPeople
from gnomon.parts.pictures import PictureEncoder
from gnomon.training.evaluate import judging

if TYPE_CHECKING:
    from gnomon.core.example import Examples
    from gnomon.core.task import Task
    from gnomon.workflow.run import Run

AT_ONCE = 64  # pictures per forward pass


@dataclass(frozen=True)
class PictureVectors:
    """N pictures as vectors of length 1, in which those of one identity lie near each other."""

    ids: tuple[str, ...]
    vectors: np.ndarray  # (N, D) float32
    threshold: float  # of the squared distance, below which two are of one identity
    bad: tuple[BadInput, ...] = ()  # what could not be read


def picture_vectors(run: Run, source: Any) -> PictureVectors:
    """Of every picture of `source` (a picture, a list of them, a folder, an array), read as the run reads pictures.

    Raises UsageError for a run of another task, of folds, or whose comparison is learned; DataError.
    """
    head, reader, encoder = run.task.head, run.task.reader, cast(PictureEncoder, run.task.encoder)
    if not isinstance(head, IdentityHead) or not isinstance(reader, PicturesOfPeople):
        raise UsageError(
            f"this run is for {run.task.kind.title}, and makes no vectors of identities.", where=str(run.path),
            fix="give a run of verification: gnomon fit FOLDER task=verification.",
        )  # fmt: skip
    if head.compared is not None:
        raise UsageError(
            "this run compares pictures by weights that it learned (loss=pairs), not by the distance of vectors.",
            where=str(run.path), fix="train with loss=cosface, arcface or triplet.",
        )  # fmt: skip
    reading = reader.read_pictures(open_source(source, run.settings.runs_folder), run.settings.data, encoder)
    pictures = reading.splits["all"]
    ids = tuple(str(name) for name in pictures.index["id"])
    return PictureVectors(ids, vectors_of_examples(run.task, run.model, pictures), threshold_of(run.task), reading.bad)


def vectors_of_examples(task: Task, model: torch.nn.Module, pictures: Examples) -> np.ndarray:
    """(N, D) float32, of length 1."""
    columns = task.encoder.encode(pictures)
    with judging(model):
        batches = (task.batch(columns, indices) for indices in torch.arange(length(columns)).split(AT_ONCE))
        parts = [task.each(model, batch).float() for batch in batches]
    return torch.cat(parts).numpy()


def threshold_of(task: Task) -> float:
    """What the run's threshold on dev is."""
    judge: Any = task.judge
    return float(judge.threshold)
