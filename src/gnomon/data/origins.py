"""Where each example came from, kept with it when examples of two sources are joined."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from gnomon.core.example import Examples
from gnomon.data.images.examples import ImageExamples
from gnomon.data.tables.examples import TableExamples

SOURCE = "source"  # the column of an index with the source's name


def from_source(examples: Examples, name: str) -> Examples:
    """The examples with `name` as the `source` of each, in their index and in that of whatever they are joined to.

    Examples other than tables and pictures are returned unchanged: without their own source they count under their
    split's.
    """
    if isinstance(examples, ImageExamples):
        return replace(examples, table=examples.table.with_columns(pl.lit(name).alias(SOURCE)))
    if isinstance(examples, TableExamples):
        return replace(
            examples, source=pl.Series(SOURCE, [name], dtype=pl.String).new_from_index(0, len(examples.table))
        )
    return examples


def two_sources(first: str, second: str) -> tuple[str, str]:
    """Names that tell two sources apart."""
    return (first, second) if first != second else (first, f"{second} (target)")
