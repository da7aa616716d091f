"""What a model did on one split: a table with one row per example. This table is the narrow waist of gnomon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

SPLITS = ("train", "train_dev", "dev", "test")  # in the order of the ladder

STRUCTURED = r"^[\[{]"  # how JSON of boxes, masks or points begins
SHARE = "share"  # the unit of errors that are 0 or 1 (or a share in between): shown in percent

SplitError = Callable[["np.ndarray"], float]
"""The error of a split in which example i appears counts[i] times: (N,) non-negative counts in, one number out.

Metrics that are not a mean over examples (mAP, BLEU, F1) are given in this form, so that their intervals come from
resampling examples like all others.
"""


@dataclass(frozen=True)
class Evaluation:
    """One row per example of one split.

    Columns of `table`, in this order:
      id          String or unsigned integer
      source      String   what the example came from (data set, file, distribution); may be constant
      target      what is true, as a person reads it: String, number, boolean, or JSON text for structured targets
      prediction  the same form as target
      error       Float64  in `unit`; 0 is perfect
      weight      Float64  scored units in the example: 1, or tokens, pixels ...
      loss        Float64  the training loss of this example alone; null if unknown
      confidence  Float64  the model's probability of its own prediction, in [0, 1]; null if there is none
      group       String   examples of a group are resampled together; null if there is none
      tag.NAME    String   slices known beforehand
      anything else a task adds (columns it needs for its own metrics)

    `unit` is SHARE, a unit's name ("mg/dl", "tokens"), or None if errors have no absolute meaning (no gaps then).
    `split_error` is None if the split's error is the weighted mean of `error`.
    `inflation`: the variance of the split's error by that of independent rows; above 1 for models of folds, which share
    most of their training examples.
    """

    split: str
    unit: str | None
    table: pl.DataFrame
    split_error: SplitError | None = None
    inflation: float = 1.0

    @property
    def has_classes(self) -> bool:
        """Whether each target is one class, right or wrong; its labels may be text, whole numbers or booleans.

        A text that is to be written is no class, even where it is only right or wrong: its table has `references`.
        """
        if "references" in self.table.columns:
            return False
        is_right_or_wrong = self.unit == SHARE and bool(self.table["error"].is_in([0.0, 1.0]).all())
        return is_right_or_wrong and not is_structured(self.table)


def is_structured(table: pl.DataFrame) -> bool:
    """Whether targets are JSON: boxes, points, masks, several answers in one; no classes and no numbers."""
    target = table["target"]
    is_text = bool(len(target)) and isinstance(target[0], str)
    return is_text and bool(target.str.contains(STRUCTURED).all())
