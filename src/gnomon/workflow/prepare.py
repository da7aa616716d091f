"""The first four stations in one go, from what the user passed to splits; and the data of a run, opened again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import Settings
from gnomon.core.task import TaskKind
from gnomon.data.identity import compare_splits
from gnomon.data.source import display_name
from gnomon.runs.folder import RunFolder
from gnomon.workflow.road.open import open_data
from gnomon.workflow.road.read import read_examples
from gnomon.workflow.road.recognise import recognise
from gnomon.workflow.road.split import Prepared, split_examples


def prepare(thing: Any, settings: Settings, task: TaskKind | None = None) -> Prepared:
    """Open, recognise, read and split `thing`. Raises UsageError or DataError naming what to do."""
    return split_examples(read_examples(recognise(open_data(thing, settings), task)))


def prepare_again(
    folder: RunFolder, given: Any, settings: Settings, task: TaskKind | None = None, *, in_memory: str, moved: str
) -> Prepared:
    """The data that a run was made from, split as it was: as `given`, or from where its data card says.

    `in_memory` and `moved` say what to do if it is not available. Raises UsageError or DataError for that, and
    DataError if the data has changed.
    """
    source = source_of(folder.load_data(), given, in_memory=in_memory, moved=moved)
    prepared = prepare(source, settings, task)
    refuse_changes(folder, prepared)
    return prepared


def source_of(card: Mapping[str, Any], given: Any, *, in_memory: str, moved: str) -> Any:
    """What a run was made from: as `given`, or from where its data card says. `in_memory` and `moved`: what to do else.

    Raises UsageError for data that was in memory, DataError for data that no longer exists.
    """
    place = card["reopen"]
    if given is not None:
        return given
    if place is None:
        raise UsageError("this run's data was in memory.", fix=in_memory)
    for path in [place] if isinstance(place, str) else place:
        if os.path.isabs(path) and not os.path.lexists(path):  # noqa: PTH117
            raise DataError("the data that this run was made from is gone.", where=display_name(path), fix=moved)
    return place


def refuse_changes(folder: RunFolder, prepared: Prepared) -> None:
    """Raises DataError, with counts, if the data is no longer what the run was made from."""
    recorded, now = (by_split(table) for table in (folder.load_splits(), prepared.identity()))
    changes = compare_splits(recorded, now)
    if changes:
        counts = [f"{count:,} {kind}" for kind, count in asdict(changes).items() if count]
        raise DataError(
            f"the data is not what this run was made from: examples {', '.join(counts)}.",
            where=prepared.source.origin,
            fix="put the data back as it was, or start a new run.",
        )


def by_split(identity: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {name: identity.filter(pl.col("split") == name) for name in identity["split"].unique()}
