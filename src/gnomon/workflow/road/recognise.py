"""Recognise which task or craft a source is for: each says how well it fits; the best match takes it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gnomon.core import found
from gnomon.core.craft import Craft
from gnomon.core.errors import DataError, UsageError
from gnomon.core.parts import Claim
from gnomon.core.settings import with_values
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


@dataclass(frozen=True)
class Commission:
    """A source with the craft that makes something of it."""

    opened: Opened
    craft: Craft
    why: str


def recognise(opened: Opened, task: TaskKind | Craft | None = None) -> Recognised:
    """The task that fits the source best. `task`, or the settings' task, overrides.

    Raises DataError, and UsageError where a craft fits it better: its work is not judged by errors.
    """
    best = recognise_work(opened, task)
    if isinstance(best, Commission):
        raise UsageError(
            f"this is for {best.craft.title} ({best.why}), a craft: it has measures instead of errors.",
            where=opened.source.origin,
            fix="use gnomon fit, or task=NAME to read the data as a task.",
        )
    return best


def recognise_work(opened: Opened, work: TaskKind | Craft | None = None) -> Recognised | Commission:
    """The task or craft that fits the source best. `work`, or the settings' task, overrides. Raises DataError."""
    source, settings = opened.source, opened.settings
    several = found.SEVERAL.get(settings.task.name or "")
    if work is None and several is not None:
        return _one_of(opened, several)
    chosen = work or (found.work(settings.task.name) if settings.task.name is not None else None)
    if chosen is not None:
        given = _claim_asked(chosen, opened)
        return _taken(opened, chosen, source.summary().removeprefix("found ") if given is None else given.why)
    claims = []
    for name in found.work_names():
        candidate = found.work(name)
        claim = _claim(candidate, opened)
        if claim is not None and claim.certainty >= LEAST_CERTAIN:
            claims.append((claim, name, candidate))
    if not claims:
        raise DataError(f"{source.summary()}; no task recognises that.", where=source.origin, fix=_what_to_give(source))
    claim, _, candidate = min(claims, key=lambda each: (-each[0].certainty, each[1]))
    if claim.fault is not None:
        claim.fault()
    return _taken(opened, candidate, claim.why)


def _one_of(opened: Opened, names: tuple[str, ...]) -> Recognised | Commission:
    """The one of these tasks that fits best; the settings then have its name."""
    claims = [(_claim_asked(found.task(name), opened), name) for name in names]
    claim, name = max(claims, key=lambda each: 0.0 if each[0] is None else each[0].certainty)
    settings = with_values(opened.settings, {"task.name": name})
    why = opened.source.summary().removeprefix("found ") if claim is None else claim.why
    return _taken(replace(opened, settings=settings), found.task(name), why)


def _claim_asked(work: TaskKind | Craft, opened: Opened) -> Claim | None:
    if isinstance(work, Craft):
        return _claim(work, opened)
    return work.reader.claim_asked(opened.source, opened.settings.data)


def _claim(work: TaskKind | Craft, opened: Opened) -> Claim | None:
    claimant = work.reader if isinstance(work, TaskKind) else work
    return claimant.claim(opened.source, opened.settings.data)


def _taken(opened: Opened, work: TaskKind | Craft, why: str) -> Recognised | Commission:
    return Recognised(opened, work, why) if isinstance(work, TaskKind) else Commission(opened, work, why)


def _what_to_give(source: Source) -> str:
    names = [file.name.lower() for file in source.tree.files] if source.tree is not None else []
    if any(name.endswith(SPREADSHEETS) for name in names):
        return "save the sheet as CSV in the spreadsheet program, and give that."
    if sum(name.endswith(TABLE_SUFFIXES) for name in names) > 1:
        return "give one of the tables, or name them train.csv, dev.csv and test.csv."
    return "give a folder with one folder of pictures per class, or a CSV, TSV or Parquet table."
