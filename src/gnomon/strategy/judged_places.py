"""Tables of boxes, masks and spans judged as gnomon's own: the error of each picture, and that of the split."""

from __future__ import annotations

import numpy as np
import polars as pl

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics import box_table, detection, span_table
from gnomon.metrics.operating_point import answers_at, share_of
from gnomon.metrics.segmentation import mean_iou
from gnomon.strategy.mask_errors import counted


def judged_places(split: str, table: pl.DataFrame) -> Evaluation:
    """Boxes: 1 - F1 of each picture at the threshold, 1 - mAP of the split, at an IoU of 0.5. Masks: 1 - mean IoU.

    Spans: 1 - F1 of each sentence, and of all spans of the split.
    """
    if span_table.is_spans(table):
        spans = span_table.read(table)
        errors = pl.Series(span_table.errors_of(spans.counts))
        return Evaluation(split, SHARE, table.with_columns(error=errors), spans.split_error())
    return _judged_boxes(split, table) if box_table.is_boxes(table) else _judged_masks(split, table)


def _judged_boxes(split: str, table: pl.DataFrame) -> Evaluation:
    found = box_table.read(table)
    matches = found.matches
    counts = answers_at(matches, found.predictions.scores, found.threshold)
    errors = 1 - np.nan_to_num(share_of("F1", counts), nan=1.0)
    table = table.with_columns(error=pl.Series(errors), threshold=pl.lit(found.threshold))

    def error(times: np.ndarray) -> float:
        return float(1 - detection.voc(matches, times[None])[0])

    return Evaluation(split, SHARE, table, error if matches.is_wanted.any() else None)


def _judged_masks(split: str, table: pl.DataFrame) -> Evaluation:
    counts = counted(table)
    errors = 1 - np.nan_to_num(mean_iou(counts), nan=1.0)

    def error(times: np.ndarray) -> float:
        return float(1 - mean_iou(np.tensordot(times, counts, axes=1)))

    return Evaluation(split, SHARE, table.with_columns(error=pl.Series(errors)), error)
