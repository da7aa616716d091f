"""Cells of a table of predictions in words: what boxes, masks and spans hold, and everything else as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gnomon.core.parts import View
from gnomon.metrics import box_table, mask_table, pair_table, span_table


def in_words(row: Mapping[str, Any], column: str) -> Any:
    """The `column` ("target" or "prediction") of a row as a person reads it, or its value.

    "12 red, 1 white"; "ground: 80 %, cell: 20 %"; "[Ada](person) in Paris"; all references, "am Haus / beim Haus".
    """
    value = row[column]
    if not isinstance(value, str):
        return value
    if "references" in row:
        return " / ".join(pair_table.references_of(row)) if column == "target" else value
    if value.startswith("[") and "width" in row:
        least = row.get("threshold") if column == "prediction" else None
        return box_table.in_words(value, least or 0.0)
    if value.startswith("[") and isinstance(row.get("text"), str):
        return span_table.in_words(row["text"], value)
    if value.startswith(mask_table.START):
        return mask_table.in_words(value, class_names_of(row))
    return value


def views_of_spans(row: Mapping[str, Any]) -> tuple[View, View] | None:
    """A text with the spans of its label, and with those of its answer; None where the row holds none."""
    text, cells = row.get("text"), (row["target"], row["prediction"])
    if not isinstance(text, str) or not all(span_table.are_spans(cell) for cell in cells):
        return None
    label, answer = ([tuple(one[:3]) for one in span_table.entries_of(cell) or ()] for cell in cells)
    return View(text=text, spans=label), View(text=text, spans=answer)


def class_names_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Of masks; none where the row does not say."""
    return tuple(json.loads(row["class_names"])) if row.get("class_names") else ()
