"""show: a run's layers (shape, cost, and their signals) and its settings, filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gnomon.core import settings as all_settings
from gnomon.core.layer_signals import findings_of
from gnomon.runs.names import Place
from gnomon.runs.records import LayerRow, SignalRow
from gnomon.workflow.made import Made, reopen


@dataclass(frozen=True)
class Shown:
    """Layer rows as plain values, settings as (key, value, given by the user, description), the latest signals."""

    layers: list[LayerRow]
    settings: list[tuple[str, Any, bool, str]]
    signals: list[SignalRow]  # a row per layer with weights, of the last epoch in which they were measured
    findings: list[str]  # what is wrong with them


def show(run: Place) -> Shown | Made:
    """What the run consists of, from its folder alone; of a craft, what it made. Raises UsageError, ArtefactError."""
    run = reopen(run)
    if isinstance(run, Made):
        return run
    settings, given = run.folder.load_settings()
    rows = [
        (row.key, all_settings.value_of(settings, row.key), row.key in given, row.description)
        for row in all_settings.rows(settings)
    ]
    history = run.history
    signals: list[SignalRow] = next((row["signals"] for row in reversed(history) if row.get("signals")), [])
    found = findings_of(history, highest_rate=settings.optimiser.learning_rate or 0.0)
    return Shown(run.folder.load_outcome()["layers"], rows, signals, [finding.text for finding in found])
