"""Series: rows of a table, or arrays, that are the steps of one thing after another in time."""

from __future__ import annotations

from gnomon.data.series.examples import SeriesExamples, as_numbers
from gnomon.data.series.reading import Form, Per, looks_like_series, read_series, read_series_to_predict

__all__ = ["Form", "Per", "SeriesExamples", "as_numbers", "looks_like_series", "read_series", "read_series_to_predict"]
