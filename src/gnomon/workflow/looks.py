"""How often dev was looked at until a system came about: its own epochs, and those of whatever chose its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnomon.strategy.improve_diary import Entry, state_of

if TYPE_CHECKING:
    from gnomon.runs.folder import RunFolder

EARLIER = "earlier_looks"  # in a run's outcome: looks before its own training, by the search that found its settings


def looks_at_dev(folder: RunFolder) -> int:
    """Models that were compared on dev on the way to this run, one an epoch of every training; 0 before it was judged.

    A run that `improve` made holds the diary of all its trainings, its own among them.
    """
    outcome = folder.load_outcome()
    diary = state_of([Entry.from_json(line) for line in folder.diary.read()])
    return max(int(outcome["dev_looks"]), diary.looks) + int(outcome.get(EARLIER, 0))


def remember_earlier(folder: RunFolder, looks: int) -> None:
    """Keep in a finished run how often dev had been looked at before it was trained. The run's lock is held."""
    folder.save_outcome({**folder.load_outcome(), EARLIER: looks})
