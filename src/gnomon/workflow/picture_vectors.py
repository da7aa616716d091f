"""The vectors that a run of verification makes of pictures: what is kept of people, and compared with them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import torch

from gnomon.core.errors import UsageError
from gnomon.core.example import BadInput
from gnomon.data.columns import length
from gnomon.data.opening import open_source
from gnomon.data.source import display_name
from gnomon.parts.identities import IdentityHead, PicturesOfPeople
from gnomon.parts.pictures import PictureEncoder
from gnomon.runs.names import MODEL
from gnomon.runs.seal import decode_json
from gnomon.training.evaluate import judging
from gnomon.workflow.system import TASK, WEIGHTS

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


@final
class Encoder:
    """What a run of verification makes of pictures, with the name that its encodings go by.

    Raises UsageError for a run of another task, of folds, or whose comparison is learned.
    """

    def __init__(self, run: Run) -> None:
        head, reader = run.task.head, run.task.reader
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
        self._run, self._reader = run, reader
        self._model = run.model

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and of how pictures are prepared: runs that share it make the same encodings."""
        files = self._run.folder.load_model()
        prepared = decode_json(files[TASK], str(self._run.path / MODEL))["facts"]["encoder"]
        return hashlib.sha256(files[WEIGHTS] + json.dumps(prepared, sort_keys=True).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        return cast(IdentityHead, self._run.task.head).vector_size

    @property
    def threshold(self) -> float:
        """Of the squared distance, below which two are of one identity."""
        return threshold_of(self._run.task)

    def belief(self, distance: float, people: int = 1) -> float:
        """How likely two pictures at that squared distance are of one identity, by the pairs of dev: 0 to 1.

        Among several people: where the picture is as likely of a stranger as of one of them, each as likely.
        """
        judge: Any = self._run.task.judge
        odds = float(np.clip(judge.slope * (judge.threshold - distance) - np.log(people), -500, 500))
        return float(1 / (1 + np.exp(-odds)))

    def read(self, source: Any) -> tuple[PictureVectors, list[str]]:
        """The vectors of every picture of `source`, and the SHA-256 of each one's bytes. Raises DataError."""
        opened = open_source(source, self._run.settings.runs_folder)
        encoder = cast(PictureEncoder, self._run.task.encoder)
        reading = self._reader.read_pictures(opened, self._run.settings.data, encoder)
        pictures = reading.splits["all"]
        ids = tuple(str(name) for name in pictures.index["id"])
        vectors = vectors_of_examples(self._run.task, self._model, pictures)
        found = PictureVectors(ids, vectors, self.threshold, reading.bad)
        if opened.tree is None or not set(ids) <= {display_name(file.name) for file in opened.tree.files}:
            return found, [_digest(pictures[row].inputs) for row in range(len(pictures))]
        names = {display_name(file.name): file.name for file in opened.tree.files}
        return found, [hashlib.sha256(opened.tree.read(names[one])).hexdigest() for one in ids]


def picture_vectors(run: Run, source: Any) -> PictureVectors:
    """Of every picture of `source` (a picture, a list of them, a folder, an array), read as the run reads pictures.

    Raises UsageError for a run of another task, of folds, or whose comparison is learned; DataError.
    """
    return Encoder(run).read(source)[0]


def _digest(pixels: np.ndarray) -> str:
    """SHA-256 of a picture that is no file of its own."""
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


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
