"""Task: what one kind of problem says about itself. Abstract methods only: nothing to override, no super() to call."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import polars as pl
    import torch
    from matplotlib.figure import Figure

    from gnomon.core.evaluation import Evaluation, SplitError
    from gnomon.core.example import Example, Examples, Reading
    from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
    from gnomon.data.columns import Columns
    from gnomon.data.source import Source

Batch = dict[str, "torch.Tensor"]
"""Named tensors whose first dim is B. `weight` (B,) counts the scored units of each example; without it, one each."""


@dataclass(frozen=True)
class Claim:
    """How sure a task is that a source is its own (0 never, 1 certain), and why, in words a person can check.

    `fault` is asked when nobody claims the source more surely: it raises what is wrong with it, if that is known to be
    the reason why the claim is no surer.
    """

    certainty: float
    why: str
    fault: Callable[[], None] | None = None


@dataclass(frozen=True)
class Predictions:
    """What the model answered for B examples.

    `values` in the task's own encoded form (class indices, boxes, token lists); `confidence` (B,) in [0, 1] or None;
    `columns`: more columns of B entries for the evaluation table (per-class probabilities, say).
    """

    values: Sequence[Any] | np.ndarray
    confidence: np.ndarray | None = None
    columns: Mapping[str, Sequence[Any] | np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """An example as a person looks at it, with nothing task-specific left: a picture, a text, some named fields."""

    image: np.ndarray | None = None  # (H, W) or (H, W, 3) uint8
    text: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


class Task(abc.ABC):
    """One kind of problem. A concrete task is a final frozen dataclass; its fields are the facts fitted on train.

    It is found by its folder's name under `gnomon/tasks` (or under a folder named in GNOMON_TASKS): the module's
    `TASK` is the class. Its fields must survive `dataclasses.asdict` -> JSON -> `from_facts`.
    """

    name: ClassVar[str]  # the folder's name
    title: ClassVar[str]  # what a person calls it: "image classification"

    # --- data -----------------------------------------------------------------------------------------------------
    @classmethod
    @abc.abstractmethod
    def claim(cls, source: Source, settings: DataSettings) -> Claim | None:
        """Whether this source is this task's, without reading more of it than needed. None: certainly not."""

    @classmethod
    @abc.abstractmethod
    def read(cls, source: Source, settings: DataSettings) -> Reading:
        """All examples with their targets. Raises DataError naming file and line."""

    @classmethod
    @abc.abstractmethod
    def write_sample(cls, folder: Path, seed: int) -> Path:
        """Write a tiny data set (a few dozen examples) in this task's format; return what to hand to `fit`."""

    @classmethod
    @abc.abstractmethod
    def from_train(cls, train: Examples, settings: Settings) -> Self:
        """Fit the facts (class names, means, vocabulary, anchors) on the training split alone."""

    @classmethod
    @abc.abstractmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The task again, from what `facts` gave after a trip through JSON. Raises ArtefactError on anything odd."""

    @abc.abstractmethod
    def facts(self) -> dict[str, Any]:
        """The fitted facts as plain JSON values."""

    @abc.abstractmethod
    def notes(self, train: Examples) -> tuple[str, ...]:
        """Sentences a person should see about what was fitted: what is imputed, resized, left out."""

    @abc.abstractmethod
    def read_inputs(self, source: Source, settings: DataSettings) -> Reading:
        """Examples to predict (targets not needed, and not looked at), under the key "all"."""

    @abc.abstractmethod
    def judged(self, examples: Examples, seed: int) -> Examples:
        """What a split is judged on: mostly its examples; pairs of them, where people are learnt and pairs judged."""

    @abc.abstractmethod
    def encode_inputs(self, examples: Examples) -> Columns:
        """Inputs of a chunk as columns of tensors, vectorised, deterministic."""

    @abc.abstractmethod
    def encode_targets(self, examples: Examples) -> Columns:
        """Targets of a chunk as columns of tensors; names distinct from those of `encode_inputs`."""

    @abc.abstractmethod
    def collate(self, columns: Columns, indices: torch.Tensor) -> Batch:
        """A batch: a gather, or padding by length. Target columns may be missing (prediction)."""

    @abc.abstractmethod
    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        """Training only, a whole batch at a time, on the batch's device: pictures shifted, targets smoothed."""

    # --- model ----------------------------------------------------------------------------------------------------
    @abc.abstractmethod
    def defaults(self, settings: Settings, num_train: int) -> dict[str, Any]:
        """Values for the settings left open, as {"optimiser.learning_rate": 1e-3, ...}, by task and data size."""

    @abc.abstractmethod
    def build_model(self, settings: Settings) -> torch.nn.Module:
        """A fresh model, parameters drawn from torch's global generator (the caller seeds it)."""

    @abc.abstractmethod
    def outputs(self, model: torch.nn.Module, batch: Batch) -> Any:
        """One forward pass."""

    @abc.abstractmethod
    def losses(self, outputs: Any, batch: Batch) -> torch.Tensor:
        """(B,): one value per example, the mean over its own scored units, before any averaging over examples."""

    # --- judging --------------------------------------------------------------------------------------------------
    @abc.abstractmethod
    def predict(self, model: torch.nn.Module, outputs: Any, batch: Batch) -> Predictions:
        """Decode: argmax, suppression, beam search. Works without targets in the batch."""

    @abc.abstractmethod
    def targets(self, batch: Batch) -> Sequence[Any] | np.ndarray:
        """The truth of B examples, in the same encoded form as `Predictions.values`."""

    @abc.abstractmethod
    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        """(B,) float64: each example's error in `error_unit`; 0 for `errors(targets(batch), batch)`."""

    @abc.abstractmethod
    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        """Encoded predictions or targets as a person reads them and as tables store them."""

    @property
    @abc.abstractmethod
    def target_columns(self) -> tuple[str, ...]:
        """The names `encode_targets` gives."""

    @property
    @abc.abstractmethod
    def chance_loss(self) -> float | None:
        """The loss of a model that knows nothing and guesses evenly (ln K); None where there is no such number."""

    @property
    @abc.abstractmethod
    def error_unit(self) -> str | None:
        """SHARE, a unit's name, or None where gaps are undefined."""

    @property
    @abc.abstractmethod
    def error_name(self) -> str:
        """What the error is called: "error", "mean absolute error", "1 - mAP@0.5"."""

    @abc.abstractmethod
    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        """The error of a whole split as a function of how often each row counts; None: the weighted mean of errors."""

    @abc.abstractmethod
    def calibrate(self, evaluation: Evaluation) -> Self:
        """The task with what can only be set after training (thresholds), from dev; itself where there is nothing."""

    # --- showing --------------------------------------------------------------------------------------------------
    @abc.abstractmethod
    def view(self, example: Example) -> View:
        """The example as a person looks at it."""

    @abc.abstractmethod
    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """Further scores of a split, {name: metrics.Interval}, for the report."""

    @abc.abstractmethod
    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        """Pictures of this task's own, {title: figure}: a confusion matrix, predicted against true."""
