"""Cells of a table of predictions in words: what boxes and masks hold, and everything else as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gnomon.metrics import box_table, mask_table


def in_words(row: Mapping[str, Any], column: str) -> Any:
    """The `column` ("target" or "prediction") of a row: "12 red, 1 white", "ground: 80 %, cell: 20 %", or its value."""
    value = row[column]
    if not isinstance(value, str):
        return value
    if value.startswith("[") and "width" in row:
        least = row.get("threshold") if column == "prediction" else None
        return box_table.in_words(value, least or 0.0)
    if value.startswith(mask_table.START):
        return mask_table.in_words(value, class_names_of(row))
    return value


def class_names_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Of masks; none where the row does not say."""
    return tuple(json.loads(row["class_names"])) if row.get("class_names") else ()
