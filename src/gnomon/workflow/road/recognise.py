"""Recognise which task a source is for: every task says how well it fits; the best match takes it."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.core import found
from gnomon.core.errors import DataError
from gnomon.core.task import TaskKind
from gnomon.data.source import TABLE_SUFFIXES, Source
from gnomon.workflow.road.open import Opened

SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
LEAST_CERTAIN = 0.2  # a claim below this is only a guess


@dataclass(frozen=True)
class Recognised:
    """A source with its task."""

    opened: Opened
    task: TaskKind
    why: str  # why the source was interpreted as this task's


def recognise(opened: Opened, task: TaskKind | None = None) -> Recognised:
    """The task that fits the source best. `task`, or the settings' task, overrides. Raises DataError."""
    source, settings = opened.source, opened.settings
    chosen = task or (found.task(settings.task.name) if settings.task.name is not None else None)
    if chosen is not None:
        given = chosen.reader.claim(source, settings.data)
        return Recognised(opened, chosen, given.why if given is not None else source.summary().removeprefix("found "))
    claims = []
    for name in found.task_names():
        candidate = found.task(name)
        claim = candidate.reader.claim(source, settings.data)
        if claim is not None and claim.certainty >= LEAST_CERTAIN:
            claims.append((claim, name, candidate))
    if not claims:
        raise DataError(f"{source.summary()}; no task recognises that.", where=source.origin, fix=_what_to_give(source))
    claim, _, candidate = min(claims, key=lambda each: (-each[0].certainty, each[1]))
    if claim.fault is not None:
        claim.fault()
    return Recognised(opened, candidate, claim.why)


def _what_to_give(source: Source) -> str:
    names = [file.name.lower() for file in source.tree.files] if source.tree is not None else []
    if any(name.endswith(SPREADSHEETS) for name in names):
        return "save the sheet as CSV in the spreadsheet program, and give that."
    if sum(name.endswith(TABLE_SUFFIXES) for name in names) > 1:
        return "give one of the tables, or name them train.csv, dev.csv and test.csv."
    return "give a folder with one folder of pictures per class, or a CSV, TSV or Parquet table."
