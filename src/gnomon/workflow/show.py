"""show: a run's layers (shape, parameters, multiply-adds, activation size) and its settings, filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gnomon.core import settings as all_settings
from gnomon.workflow.run import Run


@dataclass(frozen=True)
class Shown:
    """Layer rows as plain values, and settings as (key, value, given by the user, description)."""

    layers: list[dict[str, Any]]
    settings: list[tuple[str, Any, bool, str]]


def show(run: Run) -> Shown:
    """What the run is made of, from its folder alone."""
    settings, given = run.folder.load_settings()
    rows = [
        (row.key, all_settings.value_of(settings, row.key), row.key in given, row.description)
        for row in all_settings.rows()
    ]
    return Shown(run.folder.load_outcome()["layers"], rows)
